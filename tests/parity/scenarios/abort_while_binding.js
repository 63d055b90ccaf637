const { done, open } = require('../trace');
const controller = new AbortController();
const a = open('a', { type: 'udp4', signal: controller.signal });
a.bind(0, '127.0.0.1', done(a, 'bind'));
controller.abort();
