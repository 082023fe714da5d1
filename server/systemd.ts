// What systemd is told of the gateway when it started it as a unit of Type=notify: ready, alive, stopping, and a word on how it stands.
// Without systemd nothing happens, and nothing of it ever keeps the gateway from starting, working or ending.
import { type ChildProcess, spawn } from 'node:child_process';

/** One for all messages: systemd knows a sender by its process, which must live when the message is read. It ends with its input. */
const PERL = '/usr/bin/perl';
const SENDER = `
$0 = 'slotcast-notify';
$SIG{$_} = 'IGNORE' for qw(INT TERM HUP);
socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or exit 1;
(my $name = $ARGV[0]) =~ s/^@/\\0/;
my $to = pack_sockaddr_un($name);
while (my $line = <STDIN>) { chomp $line; $line =~ tr/\\t/\\n/; send($socket, $line, 0, $to); }
`;
/** How long a message may be in a status line that people read. */
const STATUS_CHARS = 300;

type Environment = Readonly<Record<string, string | undefined>>;

export interface SystemdOptions {
  readonly env: Environment;
  readonly pid: number;
}

export class Systemd {
  readonly #watchdogMs: number | null;
  #sender: ChildProcess | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor({ env, pid }: SystemdOptions) {
    const address = env['NOTIFY_SOCKET'] ?? '';
    this.#watchdogMs = watchdogOf(env, pid);
    // A path or an abstract name; no other kind is given to a service on its own host.
    if (/^[/@]./.test(address)) this.#sender = sender(address);
  }

  /** Calls come in from now on. */
  ready(status: string): void {
    this.#send(['READY=1', statusOf(status)]);
    if (this.#watchdogMs === null || this.#sender === null) return;
    // Half of it, so that one that is late does no harm. It is said by the event loop, and so not when that stands still.
    this.#timer ??= setInterval(() => this.#send(['WATCHDOG=1']), this.#watchdogMs / 2).unref();
  }

  /** It goes, and takes at most so long, whatever the unit says. */
  stopping(withinMs: number): void {
    this.#send(['STOPPING=1', `EXTEND_TIMEOUT_USEC=${withinMs * 1000}`, statusOf('stopping')]);
  }

  status(text: string): void {
    this.#send([statusOf(text)]);
  }

  /** What was said before is still sent. Idempotent. */
  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#sender?.stdin?.end();
    this.#sender = null;
  }

  #send(lines: readonly string[]): void {
    this.#sender?.stdin?.write(`${lines.join('\t')}\n`);
  }
}

function sender(address: string): ChildProcess {
  const child = spawn(PERL, ['-MSocket', '-e', SENDER, address], { env: {}, stdio: ['pipe', 'ignore', 'ignore'] });
  child.on('error', () => {});
  child.stdin?.on('error', () => {});
  child.unref();
  return child;
}

/** How often systemd wants to hear of this process; null when it does not. */
function watchdogOf(env: Environment, pid: number): number | null {
  const usec = Number(env['WATCHDOG_USEC']);
  const isOurs = env['WATCHDOG_PID'] === undefined || Number(env['WATCHDOG_PID']) === pid;
  return isOurs && Number.isInteger(usec) && usec > 0 ? usec / 1000 : null;
}

const statusOf = (text: string): string => `STATUS=${text.replace(/\p{Cc}+/gu, ' ').slice(0, STATUS_CHARS)}`;
