// Calls whose results are large: few at once on each connection, and none while its replies wait to be taken, since a result is held until it
// is sent. Who asks for more waits for his turn; he must never make the gateway hold what he does not read.
import { Fault } from '../../protocol/fault.ts';
import type { Context, Peer } from './context.ts';

interface Line {
  running: number;
  readonly waiting: (() => void)[];
}

export class Bulk {
  readonly #atOnce: number;
  readonly #lines = new WeakMap<Peer, Line>();

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /** Runs `work` in its turn. CANCELLED when nobody waits for the result by then. */
  async run<T>({ peer, signal }: Context, work: () => Promise<T>): Promise<T> {
    const line = this.#lineOf(peer);
    if (line.running < this.#atOnce) line.running++;
    else await new Promise<void>((resolve) => line.waiting.push(resolve));
    try {
      await peer.ready();
      if (signal.aborted || peer.closed) throw new Fault('CANCELLED');
      return await work();
    } finally {
      // By then the reply stands in the outbox, and the next one sees whether there is room behind it.
      setImmediate(() => next(line));
    }
  }

  #lineOf(peer: Peer): Line {
    const line = this.#lines.get(peer) ?? { running: 0, waiting: [] };
    this.#lines.set(peer, line);
    return line;
  }
}

function next(line: Line): void {
  const resolve = line.waiting.shift();
  if (resolve === undefined) line.running--;
  else resolve();
}
