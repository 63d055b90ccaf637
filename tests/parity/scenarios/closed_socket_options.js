const { attempt, open, ready } = require('../trace');
const a = open('a');
ready([a], () => a.close(() => {
  attempt(a, 'broadcast', () => a.setBroadcast(true));
  attempt(a, 'TTL', () => a.setTTL(3));
  attempt(a, 'multicast TTL', () => a.setMulticastTTL(3));
  attempt(a, 'loopback', () => a.setMulticastLoopback(true));
  attempt(a, 'receive buffer', () => a.setRecvBufferSize(4096));
  attempt(a, 'send buffer', () => a.getSendBufferSize());
  attempt(a, 'queue size', () => a.getSendQueueSize());
  attempt(a, 'queue count', () => a.getSendQueueCount());
}));
