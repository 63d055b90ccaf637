const { close, open, ready, say } = require('../trace');
const controller = new AbortController();
const a = open('a', { type: 'udp4', signal: controller.signal });
ready([a], () => close(a));
a.on('close', () => {
  controller.abort();
  say(a, 'aborted');
});
