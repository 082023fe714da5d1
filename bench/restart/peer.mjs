// One connection to a gateway that may not listen yet, as bare as can be: it asks from the first moment on, so that what it waits for is the
// gateway and no timer of a client.
import WebSocket from 'ws';
import { sleep, TOKEN } from '../chaos/program.mjs';

const AGAIN_MS = 5;

/** Resolves when somebody listens there and has let it in. */
export async function peerOf(port, untilMs) {
  for (;;) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, ['slotcast.v1'], {
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    const opened = await new Promise((resolve) => {
      socket.once('open', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    if (opened) return new Peer(socket);
    if (performance.now() > untilMs) throw new Error('no gateway came');
    await sleep(AGAIN_MS);
  }
}

class Peer {
  #socket;
  #asked = new Map();
  #last = 0;

  constructor(socket) {
    this.#socket = socket;
    socket.on('message', (text) => {
      const { id, result, error } = JSON.parse(text);
      const asked = this.#asked.get(id);
      this.#asked.delete(id);
      if (error === undefined) asked?.resolve(result);
      else asked?.reject(new Error(error.message));
    });
  }

  call(method, params) {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    });
  }

  close() {
    this.#socket.terminate();
  }
}
