// A command that was started: its output as it comes, its stdin, its end. It survives lost connections; output arrives once and in order. Who
// reads it slowly slows it down; who reads nothing does not.
import type { Params, Result } from '../protocol/contract.ts';
import type { ExecExit } from '../protocol/exec.ts';
import { encodeBase64 } from './base64.ts';
import { Queue } from './queue.ts';
import type { Caller, CallOptions } from './rpc.ts';

/** Output that waits while nobody reads; beyond it the oldest is let go, as the offsets then show. */
const MAX_WAITING_CHARS = 64 * 1024 * 1024;
/** Output that waits for a reader, at which no more is wanted; what is on its way then is a few megabytes. */
const HOLD_CHARS = 8 * 1024 * 1024;
/** From here on more is wanted: it is there before the reader has read the rest. */
const GO_ON_CHARS = 2 * 1024 * 1024;

export interface Output {
  readonly stream: 'stdout' | 'stderr';
  /** Text, or base64 if the command was started with that encoding. */
  readonly data: string;
  /** Bytes of this stream before `data`. */
  readonly offset: number;
  readonly encoding?: 'utf8' | 'base64' | undefined;
}

export class Process implements AsyncIterable<Output> {
  /** Its name in the slot: p1, p2, … */
  readonly id: string;
  /** How it ended. Rejects when that can't be known any more: the lease is lost, or the client closed. */
  readonly exit: Promise<ExecExit>;
  readonly #call: Caller;
  readonly #output: Queue<Output>;
  #isRead = false;
  /** Whether the gateway was told to send no more. */
  #isHeld = false;
  #settle: { resolve(exit: ExecExit): void; reject(error: Error): void } = { resolve: () => {}, reject: () => {} };

  constructor(id: string, call: Caller) {
    this.id = id;
    this.#call = call;
    this.#output = new Queue({
      limit: MAX_WAITING_CHARS,
      sizeOf: ({ data }) => data.length,
      overflow: (queue) => {
        while (queue.isOver) queue.shift();
      },
    });
    this.exit = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // Who never asks for the end is not told of its failure either.
    this.exit.catch(() => {});
  }

  /**
   * What it prints, both streams in the order of arrival, until its end. Can be iterated once. As long as it is, the command waits when it prints
   * more than is read; who leaves the loop lets it go on.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Output, void, undefined> {
    const output = this.#output[Symbol.asyncIterator]();
    this.#isRead = true;
    try {
      for await (const part of output) {
        yield part;
        if (this.#isHeld && this.#output.size <= GO_ON_CHARS) this.#hold(false);
      }
    } finally {
      this.#isRead = false;
      if (this.#isHeld) this.#hold(false);
    }
  }

  /** Output that has come and was not read yet, in characters. */
  get waitingChars(): number {
    return this.#output.size;
  }

  /** Writes to stdin, which must have been opened by `stdin: 'open'`; resolves when the command's pipe has taken it. */
  async write(data: string | Uint8Array, options: CallOptions & { readonly eof?: boolean } = {}): Promise<void> {
    const { eof = false, ...rest } = options;
    const text: Pick<Params<'exec.write'>, 'data' | 'encoding'> = typeof data === 'string'
      ? { data }
      : { data: encodeBase64(data), encoding: 'base64' };
    await this.#call('exec.write', { process: this.id, ...text, eof }, rest);
  }

  /** Closes stdin. */
  async closeInput(): Promise<void> {
    await this.write('', { eof: true });
  }

  /** `INT`, `SIGTERM`, 9, …; KILL takes the whole process tree. */
  async signal(signal: string | number): Promise<void> {
    await this.#call('exec.signal', { process: this.id, signal });
  }

  /** Its end with the kept output, or after timeoutMs how it stands. */
  async wait(params: Omit<Params<'exec.wait'>, 'process'> = {}, options?: CallOptions): Promise<Result<'exec.wait'>> {
    return await this.#call('exec.wait', { ...params, process: this.id }, options);
  }

  /** For whoever receives notifications. */
  receive(output: Output): void {
    this.#output.push(output);
    if (this.#isRead && !this.#isHeld && this.#output.size >= HOLD_CHARS) this.#hold(true);
  }

  /** A new connection knows nothing of what was held. */
  resumed(): void {
    if (this.#isHeld) this.#hold(true);
  }

  end(exit: ExecExit): void {
    this.#settle.resolve(exit);
    this.#output.end();
  }

  fail(error: Error): void {
    this.#settle.reject(error);
    this.#output.end({ error });
  }

  #hold(on: boolean): void {
    this.#isHeld = on;
    // On a lost connection it means nothing any more, and what has ended sends nothing.
    this.#call('exec.hold', { process: this.id, on }).catch(() => {});
  }
}
