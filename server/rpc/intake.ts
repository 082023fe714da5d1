// Whether a socket is read: it rests as long as anybody has a reason that it should, and only then.
import type { WebSocket } from 'ws';

/** Sends too fast · has replies that it does not take · its calls hold too much · replies wait for room. */
export type RestReason = 'rate' | 'outbox' | 'calls' | 'replies';

export class Intake {
  readonly #socket: Pick<WebSocket, 'pause' | 'resume' | 'readyState' | 'OPEN'>;
  readonly #reasons = new Set<RestReason>();

  constructor(socket: Pick<WebSocket, 'pause' | 'resume' | 'readyState' | 'OPEN'>) {
    this.#socket = socket;
  }

  rest(reason: RestReason): void {
    this.#reasons.add(reason);
    // One that closes is read on: who does not read does not hear the end, and would hold whatever it drives until it is cut off.
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.pause();
  }

  /** The reason has gone; another one may still hold. */
  goOn(reason: RestReason): void {
    if (this.#reasons.delete(reason) && this.#reasons.size === 0) this.#socket.resume();
  }

  has(reason: RestReason): boolean {
    return this.#reasons.has(reason);
  }
}
