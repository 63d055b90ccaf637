const { after, close, done, open, ownPort } = require('../trace');
const [a, b, sender] = ['a', 'b', 'sender'].map((name) => open(name, { type: 'udp4', reuseAddr: true }));
let left = 2;
for (const socket of [a, b]) after(socket, 2, () => --left === 0 && close(a, b, sender));
a.bind(ownPort, () => b.bind(a.address().port, () => sender.bind(0, '127.0.0.1', () => {
  for (const socket of [a, b]) socket.addMembership('239.255.77.2', '127.0.0.1');
  sender.setMulticastInterface('127.0.0.1');
  for (const text of ['one', 'two'])
    sender.send(text, a.address().port, '239.255.77.2', done(sender, 'send'));
})));
