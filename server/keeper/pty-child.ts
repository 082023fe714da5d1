// One child process on a pseudo terminal, with every byte it printed, up to the last one before its end.
// Of node-pty it takes the call that resizes: what else there is hands every terminal on to all later children, loses the tail of the output when
// the child exits, tells an exit 200 ms late, and stalls the event loop when a program doesn't read what is written to it.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { OnReadOpts, SocketConstructorOpts } from 'node:net';
import { constants as system } from 'node:os';
import type { Duplex } from 'node:stream';
import { ReadStream } from 'node:tty';
import type { Clock, Timer } from './clock.ts';
import { tryKill } from './foreground.ts';
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
  /** What is done on the terminal before the file is run: Perl, which takes from the front of @ARGV what it has put there itself, and exits where it fails. */
  readonly entry?: PtyEntry;
  /** So many descriptors from 3 on are pipes of ours, which the command finds open. */
  readonly pipes?: number;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly cols: number;
  readonly rows: number;
  readonly clock: Clock;
  /** Gets what the child prints, in order. The bytes are gone after the call. */
  readonly output: (bytes: Buffer) => void;
}

export interface PtyEntry {
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
  readonly #child: ChildProcess;
  readonly #master: number;
  /** Our own open end of the child's side: without it the last output is cut off when the child closes its own. */
  #slave: number | null = null;
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
    const { child, master } = begin(options);
    this.pid = child.pid ?? 0;
    this.#child = child;
    this.#master = master;
    this.#hold();
    child.once('exit', (code, signal) => {
      if (!this.#gone) this.#end();
      exited({ exitCode: code, signal: signal === null ? 0 : system.signals[signal] });
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
  #hold(): void {
    const link = this.pipe(FIRST_PIPE + (this.#options.pipes ?? 0) + 1);
    link.once('data', (number) => {
      try {
        this.#slave = openSync(`/dev/pts/${Number(number)}`, constants.O_RDWR | constants.O_NOCTTY);
        link.end('g');
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

/** The pipes that were asked for, then the master and the link. */
const FIRST_PIPE = 3;

/**
 * Becomes the command on the child's side of the terminal, with the modes that a login has. Perl does what Node can't, and is the first process of
 * a sandbox too. From the moment in which that side can be opened it does not end, and nothing begins that may, before it was. The numbers are those of x86_64 and aarch64.
 */
const becomeCommand = (entry: string): string => `
my ($master_fd, $rows, $cols) = splice @ARGV, 0, 3;
open my $master, "+<&=", $master_fd; open my $link, "+<&=", $master_fd + 1;
my ($off, $number) = (pack("i", 0), pack "i", 0);
ioctl $master, 0x40045431, $off and ioctl $master, 0x80045430, $number or exit 125;
$number = unpack "i", $number;
my $told = syswrite $link, $number;
END { sysread $link, my $go, 1 if $told }
open my $tty, "+<", "/dev/pts/$number" or exit 125;
ioctl $tty, 0x5414, my $size = pack "S4", $rows, $cols, 0, 0;
ioctl $tty, 0x5401, my $modes = "\\0" x 64;
my ($input, @others) = unpack "L a*", $modes;
ioctl $tty, 0x5402, $modes = pack "L a*", $input | 0x6802, @others;
open STDIN, "<&", $tty; open STDOUT, ">&", $tty; open STDERR, ">&", $tty;
close $_ for $tty, $master;
${entry}
sysread $link, my $go, 1 or exit 125;
close $link;
exec { $ARGV[0] } @ARGV;
print STDERR "slotcast: $ARGV[0]: $!\\n";
exit 127;
`;

/** Node opens the master so that no child but this one has it: a terminal hangs up when we are gone, whoever else goes on. */
function begin(options: PtyChildOptions): { child: ChildProcess; master: number } {
  const { file, args, cwd, cols, rows, env, entry, pipes = 0 } = options;
  const master = openSync('/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  try {
    const numbers = [FIRST_PIPE + pipes, rows, cols].map(String);
    const argv = ['-e', becomeCommand(entry?.program ?? ''), ...numbers, ...(entry?.args ?? []), file, ...args];
    const child = spawn('/usr/bin/perl', argv, {
      env,
      cwd,
      // A session of its own: the first terminal that it opens is its own.
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', ...Array.from({ length: pipes }, () => 'pipe' as const), master, 'pipe'],
    });
    child.on('error', () => {});
    if (child.pid === undefined) throw new Error('the process of a terminal could not be started');
    for (const stream of child.stdio) stream?.on('error', () => {});
    return { child, master };
  } catch (error) {
    closeSync(master);
    throw error;
  }
}
