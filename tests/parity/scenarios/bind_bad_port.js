const { attempt, close, open } = require('../trace');
const a = open('a');
attempt(a, 'bind 65536', () => a.bind(65536, '127.0.0.1', () => close(a)));
