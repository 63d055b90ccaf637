const { after, close, done, open, ready } = require('../trace');
const [a, b] = [open('a'), open('b')];
after(b, 5, () => close(a, b));
let [left, depth] = [5, 0];
function next() {
  if (left-- === 0) return;
  ++depth;
  a.send(`${left} left`, b.address().port, done(a, `depth ${depth}`, next));
  --depth;
}
ready([a, b], next);
