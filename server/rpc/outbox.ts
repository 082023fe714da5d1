// What waits to be sent on one WebSocket, bounded in bytes: who streams waits here, who replies is slowed, who does not read is let go.
// It never drops a message of an open connection.
import type { WebSocket } from 'ws';
import { Intake } from './intake.ts';

/** Streams rest from here on: a second of a fast terminal, and little memory for each of a thousand viewers. */
const HIGH_BYTES = 1024 * 1024;
/** Streams go on from here on: the pipe does not run dry while they wake up. */
const LOW_BYTES = 256 * 1024;
/** No further calls are read from a peer that leaves so many bytes of replies: a bit more than the largest reply. */
const FULL_BYTES = 256 * 1024 * 1024;
/** A peer that takes nothing for so long has gone or is stuck. */
const STUCK_MS = 30_000;
/** A slow line is not stuck: Node tells when all that waits has left, not how far it is, so more bytes get more time. */
const SLOWEST_BYTES_PER_SECOND = 256 * 1024;
/** Of one unit of a string. */
const MAX_UTF8_BYTES = 3;
const TEXT = { binary: false } as const;
/** How long a peer that was let go has to read why. */
const GOODBYE_MS = 5_000;

export interface OutboxOptions {
  readonly highBytes?: number;
  readonly lowBytes?: number;
  readonly fullBytes?: number;
  readonly stuckMs?: number;
  readonly slowestBytesPerSecond?: number;
  readonly goodbyeMs?: number;
}

export class Outbox {
  readonly #socket: WebSocket;
  readonly #intake: Intake;
  readonly #limits: Required<OutboxOptions>;
  #waiting: (() => void)[] = [];
  #stuck: NodeJS.Timeout | null = null;

  constructor(socket: WebSocket, options: OutboxOptions = {}, intake = new Intake(socket)) {
    this.#socket = socket;
    this.#intake = intake;
    this.#limits = {
      highBytes: HIGH_BYTES,
      lowBytes: LOW_BYTES,
      fullBytes: FULL_BYTES,
      stuckMs: STUCK_MS,
      slowestBytesPerSecond: SLOWEST_BYTES_PER_SECOND,
      goodbyeMs: GOODBYE_MS,
      ...options,
    };
    socket.once('close', () => this.#ended());
  }

  /** Bytes that the peer has not taken yet. */
  get bytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** Sends a text frame; bytes are UTF-8. Nothing happens on a closed connection. */
  send(data: string | Uint8Array): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    // Nobody waits for what leaves at once, and to be told of it costs as much as to send it.
    const isLittle = this.bytes === 0 && data.length < this.#limits.lowBytes / MAX_UTF8_BYTES;
    if (isLittle) this.#socket.send(data, TEXT);
    else this.#socket.send(data, TEXT, this.#sent);
    if (this.bytes >= this.#limits.highBytes) this.#watch();
    // No further calls are read, since their replies have no room.
    if (this.bytes >= this.#limits.fullBytes) this.#intake.rest('outbox');
  }

  get hasRoom(): boolean {
    const { readyState, OPEN, CLOSED } = this.#socket;
    // On a connection that closes, streams rest until it is closed and they are told.
    return readyState === CLOSED || (readyState === OPEN && this.bytes < this.#limits.highBytes);
  }

  /** Resolves at once below the high mark, else when the low mark is reached or the connection has ended. */
  ready(): Promise<void> {
    if (this.hasRoom) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** ws has no drain event: it tells of each message that has left. */
  readonly #sent = (): void => {
    this.#unwatch();
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (this.bytes > this.#limits.lowBytes) {
      if (this.bytes >= this.#limits.highBytes) this.#watch();
      return;
    }
    this.#wake();
    this.#intake.goOn('outbox');
  };

  #watch(): void {
    if (this.#stuck !== null || this.#socket.readyState !== this.#socket.OPEN) return;
    const slowMs = (this.bytes / this.#limits.slowestBytesPerSecond) * 1000;
    this.#stuck = setTimeout(() => this.#letGo(), this.#limits.stuckMs + slowMs);
  }

  #unwatch(): void {
    if (this.#stuck !== null) clearTimeout(this.#stuck);
    this.#stuck = null;
  }

  /** The close frame stands behind what is not read: who reads on in time learns the reason. */
  #letGo(): void {
    this.#stuck = null;
    this.#socket.close(4429, 'too slow');
    const timer = setTimeout(() => this.#socket.terminate(), this.#limits.goodbyeMs);
    this.#socket.once('close', () => clearTimeout(timer));
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #ended(): void {
    this.#unwatch();
    this.#wake();
  }
}
