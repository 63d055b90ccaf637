const { done, open } = require('../trace');
const a = open('a');
a.close(done(a, 'close'));
