// Floor of WebSockets: a bare server of `ws`. Answers each JSON-RPC request at once; told {hz, ms} by its parent, it sends a frame with the
// time to all who are connected, so often and for so long.
import { WebSocketServer } from 'ws';

const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
server.on('connection', (socket) => {
  socket.on('message', (data) => {
    const { id, params } = JSON.parse(data);
    socket.send(JSON.stringify({ jsonrpc: '2.0', id, result: { text: 'x'.repeat(params.bytes) } }));
  });
});
server.on('listening', () => process.send(server.address().port));

/** Like a frame of ours, with the monotonic time in µs, as floor/tick.pl prints it. */
const frame = (seq) => {
  const us = process.hrtime.bigint() / 1000n;
  return JSON.stringify({
    jsonrpc: '2.0',
    method: 'watch.frames',
    params: { watch: 'w1', seq, frames: [[1, 'o', `@${us}@\r\n`]] },
  });
};

process.on('message', ({ hz, ms }) => {
  let seq = 0;
  const beginMs = performance.now();
  const next = () => {
    const text = frame(seq);
    for (const socket of server.clients) socket.send(text);
    const dueMs = (++seq * 1000) / hz;
    if (dueMs < ms) setTimeout(next, Math.max(0, beginMs + dueMs - performance.now()));
  };
  next();
});
process.on('disconnect', () => process.exit(0));
