// Keeps one connection to the gateway: opens it, notices its end, opens it again after a pause. It knows nothing of calls and leases.
import { ConnectionError } from './connection-error.ts';
import { type Close, isRefusal, type Transport, type TransportListener } from './transport.ts';

/** The first pause, doubled with each try that fails: short enough not to be noticed when the gateway was only restarted. */
const FIRST_PAUSE_MS = 500;
/** The longest pause: what a person waits for before looking for the cause. */
const LONGEST_PAUSE_MS = 10_000;
/** Nothing heard for so long, not even one of the pings that come every 15 s: time to ask. */
const QUIET_MS = 35_000;
/** How long the answer to that may take. */
const ANSWER_MS = 15_000;

export interface LinkParts {
  /** Opens a transport; rejects when there is none to be had. */
  open(listener: TransportListener, signal: AbortSignal): Promise<Transport>;
  message(text: string): void;
  /** A new transport is there. When it rejects, the transport is dropped and the next one is tried. */
  up(transport: Transport): Promise<void>;
  /** The transport is gone; with `isFinal` none will follow. */
  down(close: Close, isFinal: boolean): void;
  /** Makes the gateway say something. */
  probe(): void;
  /** Whether a lost transport is followed by another. */
  readonly reconnect: boolean;
  /** From 0 to below 1, for the pauses. */
  readonly random: () => number;
}

export class Link {
  readonly #parts: LinkParts;
  #transport: Transport | null = null;
  #heardAtMs = 0;
  #watchdog: ReturnType<typeof setTimeout> | undefined;
  #isPaused = false;
  #isClosed = false;
  /** Failed in a row. */
  #tries = 0;
  #wake = (): void => {};
  readonly #closing = new AbortController();

  constructor(parts: LinkParts) {
    this.#parts = parts;
  }

  get isUp(): boolean {
    return this.#transport !== null;
  }

  /** The first connection. Rejects with the Fault of a refusal, or a ConnectionError. */
  async open(): Promise<void> {
    await this.#connect();
  }

  /** Stops reading, so that the gateway waits; what comes after a lost connection is read again. */
  pause(): void {
    this.#isPaused = true;
    this.#transport?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#heardAtMs = performance.now();
    this.#transport?.resume();
  }

  /** Gives this connection up as if it had been lost. */
  drop(): void {
    this.#transport?.drop();
  }

  /** Resolves when nothing is open and nothing will be; idempotent. */
  async close(code?: number, reason?: string): Promise<void> {
    this.#isClosed = true;
    this.#wake();
    this.#closing.abort();
    await this.#transport?.close(code, reason);
  }

  async #connect(): Promise<void> {
    let transport: Transport | null = null;
    let endedEarly: Close | null = null;
    const listener: TransportListener = {
      message: (text) => this.#parts.message(text),
      heard: () => {
        this.#heardAtMs = performance.now();
      },
      closed: (close) => {
        endedEarly = close;
        this.#down(close, transport);
      },
    };
    transport = await this.#parts.open(listener, this.#closing.signal);
    if (endedEarly !== null) throw describeClose(endedEarly);
    if (this.#isClosed) {
      await transport.close();
      return;
    }
    this.#transport = transport;
    if (this.#isPaused) transport.pause();
    this.#heardAtMs = performance.now();
    this.#watch();
    try {
      await this.#parts.up(transport);
      this.#tries = 0;
    } catch {
      transport.drop();
    }
  }

  #down(close: Close, transport: Transport | null): void {
    if (transport === null || this.#transport !== transport) return;
    this.#transport = null;
    clearTimeout(this.#watchdog);
    const isFinal = this.#isClosed || !this.#parts.reconnect || close.code === CREDENTIAL_ENDED;
    this.#parts.down(close, isFinal);
    if (!isFinal) void this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    while (!this.#isClosed) {
      await this.#pause(pauseMs(this.#tries++, this.#parts.random));
      if (this.#isClosed) return;
      try {
        await this.#connect();
        return;
      } catch (error) {
        if (!isRefusal(error)) continue;
        this.#isClosed = true;
        this.#parts.down({ code: CREDENTIAL_ENDED, reason: error.message }, true);
      }
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Finds a connection whose other end has vanished without a word. */
  #watch(): void {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => {
      const quietMs = performance.now() - this.#heardAtMs;
      if (!this.#isPaused && quietMs >= QUIET_MS + ANSWER_MS) this.drop();
      else if (!this.#isPaused && quietMs >= QUIET_MS) this.#parts.probe();
      this.#watch();
    }, ANSWER_MS);
  }
}

/** Close code of the gateway: the credential has expired or was revoked. */
const CREDENTIAL_ENDED = 4401;

/** Between half of the doubled pause and all of it, so that many clients don't come back at once. */
export function pauseMs(tries: number, random: () => number): number {
  const longestMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** tries);
  return longestMs * (0.5 + random() / 2);
}

/** How a connection ended, in words. */
export function describeClose({ code, reason }: Close): ConnectionError {
  return new ConnectionError(`The connection to the gateway has ended: ${reason || `code ${code}`}.`, code);
}
