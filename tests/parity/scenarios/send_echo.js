const { close, open, ready } = require('../trace');
const [server, client] = [open('server'), open('client')];
const texts = ['one', '', 'three'];
const ask = () => client.send(texts.shift(), server.address().port);
server.on('message', (data, from) => server.send(data, from.port, from.address));
client.on('message', () => (texts.length ? ask() : close(server, client)));
ready([server, client], ask);
