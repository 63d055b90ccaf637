const { attempt, open } = require('../trace');
for (const type of ['udp5', 'unix_dgram', '']) attempt('test', `type ${type}`, () => open('a', type));
