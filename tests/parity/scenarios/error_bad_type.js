const { attempt, open } = require('../trace');
for (const type of ['udp5', 'unix_dgram', '']) attempt('test', 'type', () => open('a', type));
