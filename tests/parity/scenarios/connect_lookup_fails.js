const { attempt, close, done, notFound, open, ready } = require('../trace');
const lookup = (name, family, callback) => {
  process.nextTick(callback, name === 'peer.test' ? notFound() : null, name, 4);
};
const a = open('a', { type: 'udp4', lookup });
ready([a], () => a.connect(9, 'peer.test', done(a, 'connect', () => {
  attempt(a, 'disconnect', () => a.disconnect());
  a.once('error', () => close(a));
  a.connect(9, 'peer.test');
})));
