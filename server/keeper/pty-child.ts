// One child process on a pseudo terminal, with every byte it printed, up to the last one before its end.
// Of node-pty it takes the call that resizes: what else there is hands every terminal on to all later children, loses the tail of the output when
// the child exits, tells an exit 200 ms late, and stalls the event loop when a program doesn't read what is written to it.
import type { ChildProcess } from 'node:child_process';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { OnReadOpts, SocketConstructorOpts } from 'node:net';
import { constants as system } from 'node:os';
import type { Duplex } from 'node:stream';
import { ReadStream } from 'node:tty';
import type { Clock, Timer } from './clock.ts';
import { tryKill } from './foreground.ts';
import { GO, orderBytes, type PtyKind, type PtyStock, startPty } from './pty-start.ts';
import { pipeAt } from './sandbox/walls.ts';

/** The kernel hands out at most 4095 bytes at once; twice that, so that a fuller one fits too. */
const READ_BYTES = 8 * 1024;
/** What can be in the kernel is below 100 KiB; what prints on and on must not hold us. */
const DRAIN_BYTES = 1024 * 1024;
/** Input that waits for a program to read it. A person types less, and a paste of a large file fits. */
const MAX_INPUT_BYTES = 1024 * 1024;
/** C-c, C-z and C-\\: with the signal, the kernel throws away what was printed and not read yet. */
const SIGNALS = [0x03, 0x1a, 0x1c];
/** The kernel doesn't tell when there is room again: so often is it tried. */
const RETRY_MS = 5;

export interface PtyChildOptions {
  readonly file: string;
  readonly args: readonly string[];
  /** What is done on the terminal before the file is run. */
  readonly entry?: PtyEntry;
  /** So many descriptors from 3 on are pipes of ours, which the command finds open. */
  readonly pipes?: number;
  /** Has what it begins with, and gets another one when it has begun. */
  readonly stock?: PtyStock | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly cols: number;
  readonly rows: number;
  readonly clock: Clock;
  /** Gets what the child prints, in order. The bytes are gone after the call. */
  readonly output: (bytes: Buffer) => void;
}

export interface PtyEntry {
  /** See PtyKind. */
  readonly program: string;
  readonly args: readonly string[];
}

export interface PtyExit {
  /** null when a signal ended it. */
  readonly exitCode: number | null;
  /** Number of the signal; 0 = none. */
  readonly signal: number;
}

export class PtyChild {
  readonly pid: number;
  /** Resolves after the last output was given out. */
  readonly exited: Promise<PtyExit>;
  readonly #options: PtyChildOptions;
  readonly #kind: PtyKind;
  readonly #child: ChildProcess;
  readonly #master: number;
  /** Our own open end of the child's side: without it the last output is cut off when the child closes its own. */
  #slave: number | null = null;
  readonly #stream: ReadStream;
  /** It has printed something. */
  #begun = false;
  #input: Buffer[] = [];
  #inputBytes = 0;
  #retry: Timer | null = null;
  /** Until it is there, and after it has ended. */
  #gone = true;

  /** Throws when the system gives out no pseudo terminal. A file that can't be run is an exit. */
  constructor(options: PtyChildOptions) {
    this.#options = options;
    let exited: (exit: PtyExit) => void = () => {};
    this.exited = new Promise((resolve) => {
      exited = resolve;
    });
    const { stock, file, args, entry, pipes = 0 } = options;
    this.#kind = { program: entry?.program ?? '', pipes };
    const { child, master, link } = stock?.take(this.#kind) ?? startPty(this.#kind);
    this.pid = child.pid ?? 0;
    this.#child = child;
    this.#master = master;
    link.write(orderBytes({ ...options, argv: [...(entry?.args ?? []), file, ...args] }));
    this.#hold(link);
    child.once('exit', (code, signal) => {
      if (!this.#gone) this.#end();
      exited({ exitCode: code, signal: signal === null ? 0 : system.signals[signal] });
      if (this.#slave !== null) stock?.refill(this.#kind);
    });
    const callback = (length: number, buffer: Uint8Array): boolean => this.#read(length, buffer);
    // One buffer for all reads and none in between, so that nothing is under way when the last output is read at the end.
    const reading: ReadOptions = { onread: { buffer: Buffer.alloc(READ_BYTES), callback } };
    this.#stream = new ReadStream(master, reading);
    // While we hold the child's side no end and no error comes from the kernel; should one come, the exit tells the rest.
    this.#stream.on('error', () => {});
    this.#stream.resume();
    this.#gone = false;
  }

  /** Opens the child's side when that can be done, and lets the command begin. */
  #hold(link: Duplex): void {
    link.once('data', (number) => {
      try {
        this.#slave = openSync(`/dev/pts/${Number(number)}`, constants.O_RDWR | constants.O_NOCTTY);
        link.end(GO);
      } catch {
        this.kill();
      }
    });
  }

  /** Our end of one of its pipes. Whoever reads sees the end; nobody hears of an error. */
  pipe(fd: number): Duplex {
    return pipeAt(this.#child, fd);
  }

  /** Types; false when too much is waiting for the program to read it, and then nothing of it is typed. */
  write(data: string): boolean {
    if (this.#gone) return true;
    const bytes = Buffer.from(data);
    if (this.#inputBytes > 0 && this.#inputBytes + bytes.length > MAX_INPUT_BYTES) return false;
    this.#input.push(bytes);
    this.#inputBytes += bytes.length;
    if (this.#retry === null) this.#type();
    return true;
  }

  /** Something was typed that the kernel has no room for. */
  get inputWaits(): boolean {
    return this.#inputBytes > 0;
  }

  resize(cols: number, rows: number): void {
    if (!this.#gone) native().resize(this.#master, cols, rows);
  }

  /** What the child prints stays in the kernel, and soon the child waits. */
  pause(): void {
    if (!this.#gone) this.#stream.pause();
  }

  resume(): void {
    if (!this.#gone) this.#stream.resume();
  }

  /** With its process group, where the first process of a bwrap is as long as bwrap has not told of it. Nothing happens when it has ended. */
  kill(): void {
    // It may have ended without our having been told yet.
    if (!this.#gone) tryKill(-this.pid, 'SIGKILL');
  }

  #read(length: number, buffer: Uint8Array): boolean {
    if (!this.#begun) this.#options.stock?.refillSoon(this.#kind);
    this.#begun = true;
    this.#options.output(Buffer.from(buffer.buffer, buffer.byteOffset, length));
    return true;
  }

  #type(): void {
    this.#retry = null;
    for (let first = this.#input[0]; first !== undefined && !this.#gone; first = this.#input[0]) {
      if (SIGNALS.some((key) => first.includes(key))) this.#drain();
      const written = nowOrNever(() => writeSync(this.#master, first));
      if (written === null) {
        this.#retry = this.#options.clock.after(RETRY_MS, () => this.#type());
        return;
      }
      this.#inputBytes -= written;
      if (written < first.length) this.#input[0] = first.subarray(written);
      else this.#input.shift();
    }
  }

  /** What is in the kernel now. */
  #drain(): void {
    const buffer = Buffer.alloc(READ_BYTES);
    for (let total = 0; total < DRAIN_BYTES; ) {
      const length = nowOrNever(() => readSync(this.#master, buffer));
      if (length === null || length === 0) break;
      total += length;
      this.#options.output(buffer.subarray(0, length));
    }
  }

  /** The child is dead: what it printed is in the kernel, all of it, and a read that finds nothing has read everything. */
  #end(): void {
    this.#stream.pause();
    this.#drain();
    this.#gone = true;
    this.#retry?.cancel();
    this.#input = [];
    this.#stream.destroy();
    if (this.#slave !== null) closeSync(this.#slave);
  }
}

/** The result of a call that must not wait; null when it would, or when the terminal is gone. */
function nowOrNever(call: () => number): number | null {
  try {
    return call();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'EAGAIN' || code === 'EIO') return null;
    throw error;
  }
}

/** Every stream of node:net takes it; the types know it for connections alone. */
interface ReadOptions extends SocketConstructorOpts {
  readonly onread: OnReadOpts;
}

/** node-pty 1.1.0, src/unix/pty.cc. */
interface Native {
  resize(fd: number, cols: number, rows: number): void;
}

/** Loaded when it is first needed, so that everything but a terminal works where there is no such binary. */
function native(): Native {
  const load = createRequire(import.meta.url);
  const { requireBinary }: { requireBinary: (file: string) => Native } = load('@lydell/node-pty/requireBinary.js');
  return requireBinary('pty.node');
}
