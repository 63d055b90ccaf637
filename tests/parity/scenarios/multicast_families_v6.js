const { attempt, close, open } = require('../trace');
const sockets = [open('four'), open('six', 'udp6')];
const groups = ['239.255.77.9', 'ff02::77:9'];
function calls(socket) {
  for (const group of groups) {
    for (const on of ['0.0.0.0', '127.0.0.1', '9.9.9.9', '::', '::%lo', '::1%lo']) {
      attempt(socket, `join ${group} on ${on}`, () => socket.addMembership(group, on));
      attempt(socket, `leave ${group} on ${on}`, () => socket.dropMembership(group, on));
    }
  }
  for (const source of ['127.0.0.1', '::1']) {
    for (const group of ['232.1.77.9', 'ff32::77:9']) {
      for (const on of ['127.0.0.1', '::%lo']) {
        const what = `${group} from ${source} on ${on}`;
        attempt(socket, `join ${what}`, () => socket.addSourceSpecificMembership(source, group, on));
        attempt(socket, `leave ${what}`, () => socket.dropSourceSpecificMembership(source, group, on));
      }
    }
  }
  for (const on of ['0.0.0.0', '127.0.0.1', '9.9.9.9', '::', '::%lo', '::1', '::1%lo'])
    attempt(socket, `send on ${on}`, () => socket.setMulticastInterface(on));
  close(socket);
}
sockets[0].bind(0, () => sockets[1].bind(0, () => sockets.forEach(calls)));
