const { after, close, open, ready } = require('../trace');
const [a, peer, stranger] = [open('a'), open('peer'), open('stranger')];
after(a, 1, () => close(a, peer, stranger));
ready([a, peer, stranger], () => {
  const { port } = a.address();
  a.connect(peer.address().port, () => {
    stranger.send('from the stranger', port, () => peer.send('from the peer', port));
  });
});
