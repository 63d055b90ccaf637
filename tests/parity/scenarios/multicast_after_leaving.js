const { after, close, open } = require('../trace');
const [a, sender] = [open('a'), open('sender')];
a.bind(0, () => sender.bind(0, '127.0.0.1', () => {
  const [{ port }, group] = [a.address(), '239.255.77.4'];
  a.addMembership(group, '127.0.0.1');
  sender.setMulticastInterface('127.0.0.1');
  after(a, 1, () => {
    a.dropMembership(group, '127.0.0.1');
    sender.send('not heard', port, group, () => sender.send('straight', port, '127.0.0.1'));
  });
  after(a, 2, () => close(a, sender));
  sender.send('heard', port, group);
}));
