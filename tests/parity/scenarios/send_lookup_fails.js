const { close, done, notFound, open, ready } = require('../trace');
const lookup = (name, family, callback) => {
  process.nextTick(callback, name === 'peer.test' ? notFound() : null, name, 4);
};
const a = open('a', { type: 'udp4', lookup });
ready([a], () => {
  a.on('error', () => close(a));
  a.send('text', 9, 'peer.test', done(a, 'send', () => a.send('text', 9, 'peer.test')));
});
