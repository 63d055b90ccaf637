const { attempt, close, done, open, ready } = require('../trace');
const a = open('a');
ready([a], () => a.close(() => {
  attempt(a, 'bind', () => a.bind(0, done(a, 'bind')));
  attempt(a, 'connect', () => a.connect(9, done(a, 'connect')));
  attempt(a, 'disconnect', () => a.disconnect());
  attempt(a, 'send', () => a.send('text', 9, done(a, 'send')));
  attempt(a, 'send to a bad port', () => a.send('text', 0, done(a, 'send')));
  attempt(a, 'address', () => a.address());
  attempt(a, 'peer', () => a.remoteAddress());
  attempt(a, 'join', () => a.addMembership('239.255.77.1'));
  attempt(a, 'leave', () => a.dropMembership('239.255.77.1'));
  attempt(a, 'join a source', () => a.addSourceSpecificMembership('127.0.0.1', '232.1.1.1'));
  attempt(a, 'leave a source', () => a.dropSourceSpecificMembership('127.0.0.1', '232.1.1.1'));
  attempt(a, 'multicast interface', () => a.setMulticastInterface('127.0.0.1'));
  attempt(a, 'ref', () => a.ref());
  attempt(a, 'unref', () => a.unref());
}));
