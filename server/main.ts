// The program `slotcast serve`: reads its options, runs the gateway until a signal, and says in one line what is wrong when it can't.
import { CommanderError } from 'commander';
import pino from 'pino';
import { ClaimError } from './claim.ts';
import { type Config, ConfigError, readConfig } from './config.ts';
import { type Waiting, waitingLine } from './drain.ts';
import { Gateway } from './gateway.ts';
import { checkKeeper, KeeperError } from './keeper/link/reach.ts';
import { closeInheritedDescriptors } from './keeper/sandbox/descriptor.ts';
import { beThrifty } from './keeper/thrift.ts';
import { replaceGateway } from './replace.ts';
import { RequirementError } from './requirement.ts';
import { Systemd } from './systemd.ts';

/** Runs until SIGTERM, SIGINT or SIGHUP; resolves with the exit code. */
export async function serve(argv: readonly string[]): Promise<number> {
  closeInheritedDescriptors();
  let gateway: Gateway | null = null;
  let config: Config | null = null;
  const leavesOn = (signal: NodeJS.Signals): boolean => signal === 'SIGHUP' || config?.keep === true;
  const stopped = firstSignal((first) => {
    if (!leavesOn(first)) gateway?.abandon();
    return first === 'SIGHUP' ? UPGRADE : 1;
  });
  try {
    config = readConfig({ argv, env: process.env, isRoot: process.getuid?.() === 0 });
    if (config.replace) {
      // Before the other one goes: nobody would serve then.
      await checkKeeper(config.dataDir);
      await replaceGateway(config);
    }
    const logger = pino({ level: config.logLevel }, pino.destination({ fd: 2, sync: true }));
    // A defect in one call must not end every lease; it stands in the log.
    process.on('unhandledRejection', (err) => logger.error({ err }, 'unhandled rejection'));
    gateway = await Gateway.open(config, logger);
  } catch (error) {
    return refuse(error);
  }
  const thrift = beThrifty({ whenBusy: false });
  const systemd = new Systemd({ env: process.env, pid: process.pid });
  systemd.ready(`at ${gateway.url}/, ${config.slots} slots`);
  const goingOn = gateway.leases === 0 ? '' : `leases from before that go on: ${gateway.leases}\n`;
  process.stdout.write(`slotcast is at ${gateway.url}/\n${wayIn(gateway, config)}${goingOn}`);
  for (const { name, detail, remedy } of gateway.shortcomings()) {
    process.stderr.write(`slotcast: ${name}: ${detail}${remedy === undefined ? '' : ` (${remedy})`}\n`);
  }
  const signal = await stopped;
  systemd.stopping(config.drainMs + STOP_MS);
  const leaves = leavesOn(signal);
  if (leaves && gateway.leases > 0) process.stderr.write(`slotcast: ${livingOn(gateway, config)}\n`);
  const again = signal === 'SIGINT' ? 'press Ctrl-C again' : `send ${signal} again`;
  const waits = (waiting: Waiting): void => {
    const line = waitingLine(waiting, config.drainMs, again);
    process.stderr.write(`slotcast: ${line}\n`);
    systemd.status(line);
  };
  await (leaves ? gateway.leave() : gateway.close(waits));
  systemd.close();
  thrift.close();
  const code = signal === 'SIGHUP' ? UPGRADE : 0;
  // What waits for something that goes on under the next gateway must not hold this one.
  if (leaves) process.exit(code);
  return code;
}

/** How to get in. Only here is a ticket ever written: it works once and not for long. */
function wayIn(gateway: Gateway, { tokenFile }: Config): string {
  if (gateway.adminToken === '') return 'everybody may drive: --auth none\n';
  const given = process.env['SLOTCAST_TOKEN'] ? 'SLOTCAST_TOKEN' : tokenFile;
  const token = gateway.tokenFile === null ? `the one in ${given}` : gateway.tokenFile;
  return `sign in, once and within 15 minutes (later by slotcast open): ${gateway.signInUrl()}\ntoken: ${token}\n`;
}

/** For who leaves slots alive: how long, and how to end them. */
function livingOn(gateway: Gateway, { keeperAloneMs }: Config): string {
  const howLong = keeperAloneMs === 0 ? 'until it is ended' : `for ${Math.round(keeperAloneMs / 60_000)} min`;
  return `leases that live on without a gateway ${howLong}: ${gateway.leases}; serve again, or end them by kill ${gateway.keeperPid}`;
}

/** Ctrl-C through npm comes twice at once: from the terminal, and handed on by npm. */
const ECHO_MS = 500;

/** Somebody is to start the next version: what a service manager is told to restart at. */
const UPGRADE = 75;

/** Goodbyes, killing what runs and emptying the slots; the files of many large workspaces take their time. */
const STOP_MS = 60_000;

/** A second signal ends the process at once, with the exit code that `hurry` makes of the first one. */
function firstSignal(hurry: (first: NodeJS.Signals) => number): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let first: { readonly signal: NodeJS.Signals; readonly atMs: number } | null = null;
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.on(signal, () => {
        // Who wants its place waits until it has gone; what still has its time is not to be cut short for that.
        if (first !== null && first.signal !== 'SIGHUP' && signal === 'SIGHUP') return;
        if (first !== null && performance.now() - first.atMs > ECHO_MS) process.exit(hurry(first.signal));
        first ??= { signal, atMs: performance.now() };
        resolve(signal);
      });
    }
  });
}

function refuse(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode;
  if (error instanceof RequirementError) {
    process.stderr.write(`slotcast: ${error.message}\n`);
    return 1;
  }
  const { code, port, address, message } = error as NodeJS.ErrnoException & { port?: number; address?: string };
  const known = [ConfigError, ClaimError, KeeperError].some((kind) => error instanceof kind);
  const text =
    code === 'EADDRINUSE'
      ? `port ${port} of ${address} is in use by another program. Choose another by --port.`
      : code === 'EACCES' || code === 'EADDRNOTAVAIL' || known
        ? message
        : `it could not start: ${message}`;
  process.stderr.write(`slotcast: ${text.replaceAll('\n', ' ')}\n`);
  return error instanceof ConfigError ? 2 : 1;
}
