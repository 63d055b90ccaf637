const { attempt, close, open, ready } = require('../trace');
const a = open('a');
ready([a], () => {
  for (const size of [10000, 123456, 1]) {
    attempt(a, `set receive buffer ${size}`, () => a.setRecvBufferSize(size));
    attempt(a, 'receive buffer', () => a.getRecvBufferSize());
    attempt(a, `set send buffer ${size}`, () => a.setSendBufferSize(size));
    attempt(a, 'send buffer', () => a.getSendBufferSize());
  }
  attempt(a, 'set receive buffer -1', () => a.setRecvBufferSize(-1));
  attempt(a, 'set send buffer 2147483648', () => a.setSendBufferSize(2147483648));
  close(a);
});
