const { close, open, say } = require('../trace');
const a = open('a', { type: 'udp4', recvBufferSize: 10000, sendBufferSize: 15000 });
a.on('listening', () => {
  say(a, `receive ${a.getRecvBufferSize()}, send ${a.getSendBufferSize()}`);
  close(a);
});
a.bind(0, '127.0.0.1');
