// The terminal that a person sits at: raw while a slot is shown on it, and as it was before in every case, also when the program fails.
import { StringDecoder } from 'node:string_decoder';

/** Ends whatever the slot's programs may have turned on: reports, paste brackets, scroll region, alternate screen, hidden cursor, colours. */
const RESTORE =
  '\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?2004l' +
  '\x1b[?1l\x1b>\x1b[?6l\x1b[?7h\x1b[4l\x1b7\x1b[r\x1b8\x1b[?1049l\x1b[?25h\x1b[ q\x1b(B\x0f\x1b[0m';

export interface TtyListener {
  /** What was typed. */
  input(text: string): void;
  resized(): void;
}

export class Tty {
  readonly #listener: TtyListener;
  readonly #decoder = new StringDecoder('utf8');
  readonly #wasRaw: boolean;
  #isClosed = false;

  /** Makes the terminal raw at once. */
  constructor(listener: TtyListener) {
    this.#listener = listener;
    this.#wasRaw = process.stdin.isRaw;
    process.once('exit', this.#restore);
    process.stdin.setRawMode(true);
    process.stdin.on('data', this.#input);
    process.stdout.on('resize', this.#resized);
  }

  static get isThere(): boolean {
    return process.stdin.isTTY === true && process.stdout.isTTY === true;
  }

  static get size(): { readonly cols: number; readonly rows: number } {
    return { cols: process.stdout.columns, rows: process.stdout.rows };
  }

  /** As it was before; idempotent. */
  close(): void {
    process.off('exit', this.#restore);
    process.stdin.off('data', this.#input);
    process.stdout.off('resize', this.#resized);
    this.#restore();
    process.stdin.pause();
  }

  readonly #restore = (): void => {
    if (this.#isClosed) return;
    this.#isClosed = true;
    process.stdin.setRawMode(this.#wasRaw);
    process.stdout.write(`${RESTORE}\r\n`);
  };

  readonly #input = (data: Buffer): void => {
    const text = this.#decoder.write(data);
    if (text !== '') this.#listener.input(text);
  };

  readonly #resized = (): void => this.#listener.resized();
}

/** Clears the terminal, so that a screen can be drawn on it. */
export const CLEAR = '\x1b[0m\x1b[?1049l\x1b[r\x1b[?6l\x1b[H\x1b[2J';

/** Resolves on the first signal that asks the program to end. */
export function endSignal(): { readonly received: Promise<NodeJS.Signals>; close(): void } {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  let stop = (): void => {};
  const received = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of signals) process.on(signal, resolve);
    stop = () => {
      for (const signal of signals) process.off(signal, resolve);
    };
  });
  return { received, close: () => stop() };
}
