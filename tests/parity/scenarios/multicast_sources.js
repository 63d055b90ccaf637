const { after, attempt, close, open } = require('../trace');
const [a, sender, other] = [open('a'), open('sender'), open('other')];
const group = '232.1.77.1';
after(a, 1, () => close(a, sender, other));
a.bind(0, () => sender.bind(0, '127.0.0.1', () => other.bind(0, '127.0.0.2', () => {
  attempt(a, 'join', () => a.addSourceSpecificMembership('127.0.0.1', group, '127.0.0.1'));
  attempt(a, 'join again', () => a.addSourceSpecificMembership('127.0.0.1', group, '127.0.0.1'));
  for (const socket of [sender, other]) socket.setMulticastInterface('127.0.0.1');
  const { port } = a.address();
  other.send('not heard', port, group, () => sender.send('heard', port, group));
})));
