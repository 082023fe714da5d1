// A TCP proxy between agents and gateway whose connections can be cut or stalled. It never changes a byte.
import { connect, createServer } from 'node:net';

export class Line {
  #server;
  #pairs = new Set();
  #isStalled = false;

  static async open(targetPort) {
    const proxy = new Line();
    proxy.#server = createServer((near) => proxy.#join(near, targetPort));
    await new Promise((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port() {
    return this.#server.address().port;
  }

  get connections() {
    return this.#pairs.size;
  }

  /** Those that `which` chooses, without a goodbye. */
  cut(which = () => true) {
    for (const pair of this.#pairs) if (which()) for (const socket of pair) socket.resetAndDestroy();
  }

  stall() {
    this.#isStalled = true;
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  flow() {
    this.#isStalled = false;
    for (const pair of this.#pairs) for (const socket of pair) socket.resume();
  }

  async close() {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(near, targetPort) {
    const far = connect(targetPort, '127.0.0.1');
    const pair = [near, far];
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      from.on('error', () => {});
      from.on('close', end);
      from.on('end', () => to.end());
      from.on('data', (piece) => {
        if (to.write(piece) === false) from.pause();
      });
      to.on('drain', () => this.#isStalled || from.resume());
      if (this.#isStalled) from.pause();
    }
  }
}
