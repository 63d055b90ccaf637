const { close, quiet, ready, say } = require('../trace');
const [a, b] = [quiet('a'), quiet('b')];
b.on('error', (error) => {
  const { code, syscall, address, port } = error;
  say(b, `${code} in ${syscall} of ${address}, ${port === a.address().port ? 'with' : 'without'} the port`);
  close(a, b);
});
ready([a], () => b.bind(a.address().port, '127.0.0.1'));
