const { close, done, open, say } = require('../trace');
const a = open('a');
a.connect(9, done(a, 'connect', () => close(a)));
say(a, 'connect has returned');
