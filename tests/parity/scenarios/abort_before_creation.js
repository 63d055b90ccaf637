const { attempt, open } = require('../trace');
const controller = new AbortController();
controller.abort();
const a = open('a', { type: 'udp4', signal: controller.signal });
attempt(a, 'bind', () => a.bind(0));
