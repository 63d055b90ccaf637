// For nginx_ids.conf: the id of a client, the first 8 bytes of its datagrams, in hexadecimal digits.
function read(session) {
  session.on('upstream', function (data) {
    session.variables.client_id = data.toString('hex', 0, 8);
    session.done();
  });
}

export default {read};
