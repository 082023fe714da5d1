// The floor of everything that goes over a WebSocket: a bare server of `ws` in a process of its own, and a client for it.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import WebSocket from 'ws';

const SERVER = new URL('floor/socket.mjs', import.meta.url).pathname;

export async function startSocketFloor() {
  const child = fork(SERVER, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const [port] = await once(child, 'message');
  const url = `ws://127.0.0.1:${port}`;
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await once(socket, 'open');
  let answered = () => {};
  socket.on('message', (data) => answered(JSON.parse(data)));
  let id = 0;
  return {
    url,
    /** A JSON-RPC round trip; the result has so many bytes. */
    call: (bytes = 0) =>
      new Promise((resolve) => {
        answered = resolve;
        socket.send(JSON.stringify({ jsonrpc: '2.0', id: id++, method: 'exec.run', params: { bytes } }));
      }),
    /** Tells the server; see floor/socket.mjs. */
    tell: (order) => child.send(order),
    close: async () => {
      socket.terminate();
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}
