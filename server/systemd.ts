// Tells systemd how the gateway fares, as a unit of Type=notify expects: ready, alive, stopping. Says nothing where no systemd listens.
import { type ChildProcess, spawn } from 'node:child_process';

/** Node has no datagram sockets of this kind; perl, which slots need anyway, has. It ends with its input. */
const SENDER = `use Socket;
socket my $to, PF_UNIX, SOCK_DGRAM, 0 or exit 1;
(my $name = $ENV{NOTIFY_SOCKET}) =~ s/^@/\\0/;
connect $to, pack_sockaddr_un($name) or exit 1;
while (my $line = <STDIN>) { chomp $line; $line =~ tr/\\t/\\n/; send $to, $line, 0 }`;

export class ServiceManager {
  readonly #sender: ChildProcess;
  readonly #watchdog: NodeJS.Timeout | null;

  private constructor(socket: string, watchdogMs: number) {
    this.#sender = spawn('/usr/bin/perl', ['-e', SENDER], {
      env: { NOTIFY_SOCKET: socket },
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    // Without perl nothing can be told, and systemd says so when its time is over.
    this.#sender.on('error', () => undefined);
    this.#sender.stdin?.on('error', () => undefined);
    // Only while the event loop turns. Twice as often as has to be.
    this.#watchdog = watchdogMs > 0 ? setInterval(() => this.#tell('WATCHDOG=1'), watchdogMs / 2) : null;
  }

  /** The one that started this process, as the variables of sd_notify(3) say; null when none did. */
  static find(env: Readonly<Record<string, string | undefined>>): ServiceManager | null {
    const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: usec, WATCHDOG_PID: pid } = env;
    if (socket === undefined || !/^[/@]./.test(socket)) return null;
    const isMeant = pid === undefined || Number(pid) === process.pid;
    return new ServiceManager(socket, isMeant && usec !== undefined ? Number(usec) / 1000 : 0);
  }

  ready(status: string): void {
    this.#tell('READY=1', `STATUS=${status}`);
  }

  stopping(): void {
    this.#tell('STOPPING=1');
  }

  /** What was told before is still sent. */
  close(): void {
    if (this.#watchdog !== null) clearInterval(this.#watchdog);
    this.#sender.stdin?.end();
  }

  #tell(...lines: readonly string[]): void {
    this.#sender.stdin?.write(`${lines.join('\t')}\n`);
  }
}
