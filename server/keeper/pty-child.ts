// One child process on a pseudo terminal, with every byte it printed, up to the last one before its end.
// It takes node-pty's native part alone: the JavaScript around it loses the tail of the output when the child exits,
// tells an exit 200 ms late, and stalls the event loop when a program doesn't read what is written to it.
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { OnReadOpts, SocketConstructorOpts } from 'node:net';
import { ReadStream } from 'node:tty';
import type { Clock, Timer } from './clock.ts';
import { tryKill } from './foreground.ts';

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
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly cols: number;
  readonly rows: number;
  readonly clock: Clock;
  /** Gets what the child prints, in order. The bytes are gone after the call. */
  readonly output: (bytes: Buffer) => void;
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
  readonly #master: number;
  /** Our own open end of the child's side: without it the last output is cut off when the child closes its own. */
  readonly #slave: number;
  readonly #stream: ReadStream;
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
    const { fd, pid, slave } = fork(options, (code, signal) => {
      if (!this.#gone) this.#end();
      exited({ exitCode: signal === 0 ? code : null, signal });
    });
    this.pid = pid;
    this.#master = fd;
    this.#slave = slave;
    const callback = (length: number, buffer: Uint8Array): boolean => this.#read(length, buffer);
    // One buffer for all reads and none in between, so that nothing is under way when the last output is read at the end.
    const reading: ReadOptions = { onread: { buffer: Buffer.alloc(READ_BYTES), callback } };
    this.#stream = new ReadStream(fd, reading);
    // While we hold the child's side no end and no error comes from the kernel; should one come, the exit tells the rest.
    this.#stream.on('error', () => {});
    this.#stream.resume();
    this.#gone = false;
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

  /** Nothing happens when it has ended. */
  kill(): void {
    // It may have ended without our having been told yet.
    if (!this.#gone) tryKill(this.pid, 'SIGKILL');
  }

  #read(length: number, buffer: Uint8Array): boolean {
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
    closeSync(this.#slave);
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
  fork(
    file: string,
    args: readonly string[],
    env: readonly string[],
    cwd: string,
    cols: number,
    rows: number,
    uid: number,
    gid: number,
    utf8: boolean,
    helperPath: string,
    exited: (code: number, signal: number) => void,
  ): { readonly fd: number; readonly pid: number; readonly pty: string };
  resize(fd: number, cols: number, rows: number): void;
}

/** Loaded when it is first needed, so that everything but a terminal works where there is no such binary. */
function native(): Native {
  const load = createRequire(import.meta.url);
  const { requireBinary }: { requireBinary: (file: string) => Native } = load('@lydell/node-pty/requireBinary.js');
  return requireBinary('pty.node');
}

/**
 * node-pty opens its end of a terminal without close-on-exec, so that every later child would get the terminals of all slots.
 * Perl, which the first process in a sandbox is too, closes whatever the child got, and becomes the command.
 */
const CLEAN = [
  '/usr/bin/perl',
  '-e',
  'opendir my $dir, "/proc/self/fd"; my @fds = grep { /^\\d+$/ && $_ > 2 && $_ != fileno $dir } readdir $dir; closedir $dir;' +
    'for (@fds) { open my $fd, "<&=", $_ and close $fd }' +
    'exec { $ARGV[0] } @ARGV; print STDERR "slotcast: $ARGV[0]: $!\\n"; exit 127',
] as const;

/** Opens the child's side at once, before anything else runs: the child may end soon. */
function fork(options: PtyChildOptions, exited: (code: number, signal: number) => void) {
  const { cwd, cols, rows } = options;
  const [file, ...args] = [...CLEAN, options.file, ...options.args];
  const env = Object.entries(options.env).map(([name, value]) => `${name}=${value}`);
  const sameUser = -1;
  const helperOfOtherSystems = '';
  const { fd, pid, pty } = native().fork(
    file,
    args,
    env,
    cwd,
    cols,
    rows,
    sameUser,
    sameUser,
    true,
    helperOfOtherSystems,
    exited,
  );
  try {
    return { fd, pid, slave: openSync(pty, constants.O_RDWR | constants.O_NOCTTY) };
  } catch (error) {
    tryKill(pid, 'SIGKILL');
    closeSync(fd);
    throw error;
  }
}
