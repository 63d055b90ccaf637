const { after, close, open } = require('../trace');
const [a, sender] = [open('a'), open('sender')];
after(a, 1, () => close(a, sender));
a.bind(0, '0.0.0.0', () => sender.bind(0, '127.0.0.1', () => {
  sender.setBroadcast(true);
  sender.send('to all', a.address().port, '127.255.255.255');
}));
