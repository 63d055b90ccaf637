const { close, open } = require('../trace');
const a = open('a');
a.bind(() => close(a));
