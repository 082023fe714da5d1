// The beginning of a child on a pseudo terminal: a Perl of ours that waits on the child's side, and becomes the command that it is told. One stands ready for the
// next terminal once there was one; it knows nothing before its order, and ends with us.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { type Clock, systemClock, type Timer } from './clock.ts';
import { statOf, tryKill } from './foreground.ts';
import { pipeAt } from './sandbox/walls.ts';

/** What one has to be begun with: another order can be given to it later, no other kind. */
export interface PtyKind {
  /** What is done on the terminal before the command is run: Perl, which takes from the front of @ARGV what the order has put there, and exits where it fails. */
  readonly program: string;
  /** So many descriptors from 3 on are pipes of ours, which the command finds open. */
  readonly pipes: number;
}

export interface PtyOrder {
  readonly rows: number;
  readonly cols: number;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** For the program, then the command. */
  readonly argv: readonly string[];
}

export interface PtyStart {
  readonly child: ChildProcess;
  readonly master: number;
  /** It tells the number of its terminal, takes its order, and begins at the word of GO. */
  readonly link: Duplex;
}

export const GO = 'g';

/** The next one is begun behind a start, from its first word on, not beside it: the two would share a processor, and the fork holds us up for a millisecond or two. */
const BEHIND_MS = 20;
/** The pipes that were asked for, then the master and the link. */
const FIRST_PIPE = 3;

/**
 * Becomes the command on the child's side of the terminal, with the modes that a login has. Perl does what Node can't, and is the first process of
 * a sandbox too. From the moment in which that side can be opened it does not end, and nothing begins that may, before it was. The numbers are those of x86_64 and aarch64.
 */
const becomeCommand = (program: string): string => `
my ($master_fd) = @ARGV;
open my $master, "+<&=", $master_fd; open my $link, "+<&=", $master_fd + 1;
my ($off, $number) = (pack("i", 0), pack "i", 0);
ioctl $master, 0x40045431, $off and ioctl $master, 0x80045430, $number or exit 125;
$number = unpack "i", $number;
close $master;
my $told = syswrite $link, $number;
END { sysread $link, my $go, 1 if $told }
open my $tty, "+<", "/dev/pts/$number" or exit 125;
ioctl $tty, 0x5401, my $modes = "\\0" x 64;
my ($input, @others) = unpack "L a*", $modes;
ioctl $tty, 0x5402, $modes = pack "L a*", $input | 0x6802, @others;
open STDIN, "<&", $tty; open STDOUT, ">&", $tty; open STDERR, ">&", $tty;
close $tty;
sub told { my ($n, $text) = ($_[0], ""); while (length $text < $n) { sysread $link, $text, $n - length $text, length $text or exit 125 } $text }
my ($rows, $cols, $cwd, $variables, @words) = split /\\0/, told(unpack "N", told(4)), -1;
ioctl STDIN, 0x5414, my $size = pack "S4", $rows, $cols, 0, 0;
chdir $cwd or do { print STDERR "slotcast: $cwd: $!\\n"; exit 125 };
%ENV = splice @words, 0, 2 * $variables;
@ARGV = @words;
${program}
told(1);
close $link;
exec { $ARGV[0] } @ARGV;
print STDERR "slotcast: $ARGV[0]: $!\\n";
exit 127;
`;

/** Node opens the master so that no child but this one has it: a terminal hangs up when we are gone, whoever else goes on. Throws when there is none. */
export function startPty({ program, pipes }: PtyKind): PtyStart {
  const master = openSync('/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  try {
    const child = spawn('/usr/bin/perl', ['-e', becomeCommand(program), String(FIRST_PIPE + pipes)], {
      env: {},
      cwd: '/',
      // A session of its own: the first terminal that it opens is its own.
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', ...Array.from({ length: pipes }, () => 'pipe' as const), master, 'pipe'],
    });
    child.on('error', () => {});
    if (child.pid === undefined) throw new Error('the process of a terminal could not be started');
    for (const stream of child.stdio) stream?.on('error', () => {});
    return { child, master, link: pipeAt(child, FIRST_PIPE + pipes + 1) };
  } catch (error) {
    closeSync(master);
    throw error;
  }
}

/** The order as it goes over the link. No word can hold a zero. */
export function orderBytes({ rows, cols, cwd, env, argv }: PtyOrder): Buffer {
  const variables = Object.entries(env);
  const words = [String(rows), String(cols), cwd, String(variables.length), ...variables.flat(), ...argv];
  const body = Buffer.from(words.join('\0'));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

/** Gives out what a terminal begins with: the one that stands ready, or a new one. */
export class PtyStock {
  readonly #clock: Clock;
  #ready: { readonly kind: PtyKind; readonly start: PtyStart } | null = null;
  #refill: Timer | null = null;
  #closed = false;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Throws when the system gives out no pseudo terminal. */
  take(kind: PtyKind): PtyStart {
    const ready = this.#ready;
    this.#ready = null;
    if (ready === null) return startPty(kind);
    // Its end may not have been told yet.
    const lives = statOf(ready.start.child.pid ?? 0)?.alive === true;
    if (lives && ready.kind.program === kind.program && ready.kind.pipes === kind.pipes) return ready.start;
    discard(ready.start);
    return startPty(kind);
  }

  /** To be called when a terminal has said its first word: another one of the kind is to stand ready soon. */
  refillSoon(kind: PtyKind): void {
    if (this.#ready === null) this.#refill ??= this.#clock.after(BEHIND_MS, () => this.refill(kind));
  }

  /** The same at once: to be called when a terminal has ended, since often the next one is asked for then. */
  refill(kind: PtyKind): void {
    this.#refill?.cancel();
    this.#refill = null;
    if (this.#ready !== null || this.#closed) return;
    try {
      this.#ready = { kind, start: startPty(kind) };
    } catch {
      // The next terminal says so, if it still is so then.
    }
  }

  close(): void {
    this.#closed = true;
    this.#refill?.cancel();
    if (this.#ready !== null) discard(this.#ready.start);
    this.#ready = null;
  }
}

function discard({ child, master }: PtyStart): void {
  if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) tryKill(-child.pid, 'SIGKILL');
  closeSync(master);
}
