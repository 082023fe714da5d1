// The gateway under attack: the program itself, in a process of its own, run by root or by an ordinary user, with secrets that must never be seen.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  cpSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { type Client, connect, type Slot } from '../../client/index.ts';
import { mintAt } from '../support/gateway.ts';
import { endKeeper, keeperOf } from '../support/keeper.ts';
import { leftOff, needs, type Remote, RemoteSlots, remote } from '../support/remote.ts';
import type { User } from './catalogue.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** Of no account: what an ordinary user of the host is to the kernel. */
const USER_ID = 54_321;
/** Stands in the gateway's environment and nowhere else. */
export const CANARY = 'canary-of-the-environment-7c1f';
/** An inherited descriptor that nobody marked close-on-exec; the file behind it says CANARY. */
export const CANARY_FD = 77;
/** The admin's credential. */
export const TOKEN = remote?.token ?? 'an-admin-credential-that-nobody-guesses';
/** Where it listens. */
export const ADDRESS = remote === null ? '127.0.0.1' : new URL(remote.url).hostname;

export interface Target {
  readonly as: User;
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly dataDir: string;
  /** What it printed so far: its log is on stderr. */
  readonly printed: { stdout: string; stderr: string };
  /** A connection of its own. Closed with the target. */
  client(token?: string): Promise<Client>;
  /** A connection that has a slot. */
  slot(options?: Parameters<Client['acquire']>[0]): Promise<Slot>;
  mint(order: { role: 'viewer' | 'agent' | 'admin'; slot?: string; cast?: string; ttlMs: number }): Promise<string>;
  /** Resident memory of gateway and keeper, in bytes. */
  memory(): number;
  signal(signal: NodeJS.Signals): Promise<void>;
  /** Starts the program again on the same data directory, after a signal ended it. */
  again(): Promise<void>;
  close(): Promise<void>;
}

export interface TargetOptions {
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A command in front of the program, as the one who runs the tests; it has to become the program by exec. $DATA in it is the data directory. */
  readonly through?: readonly string[];
  /** That of another target, which removes it. */
  readonly dataDir?: string;
}

/** Starts dist/, which `npm test` builds. */
export async function target(as: User, options: TargetOptions = {}): Promise<Target> {
  if (remote !== null) return needs('a gateway of its own');
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'slotcast-attack-'));
  const isOther = as === 'user' && process.getuid?.() === 0;
  if (isOther) chownSync(dataDir, USER_ID, USER_ID);
  const { program, close: removeProgram } = isOther ? readable() : { program: root, close: () => {} };
  const printed = { stdout: '', stderr: '' };
  const clients: Client[] = [];
  let child: ChildProcess;
  let url = '';
  const start = async (): Promise<void> => {
    ({ child, url } = await started({ ...options, isOther, program, dataDir, printed }));
  };
  const remove = (): void => {
    if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
    removeProgram();
  };
  await start().catch((error: unknown) => {
    remove();
    throw error;
  });
  const client = async (token = TOKEN): Promise<Client> => {
    const made = await connect({ url, token, validate: true });
    clients.push(made);
    return made;
  };
  const signal = async (name: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const closed = new Promise((resolve) => child.once('close', resolve));
    child.kill(name);
    await closed;
  };
  return {
    as,
    get url() {
      return url;
    },
    get port() {
      return Number(new URL(url).port);
    },
    get pid() {
      return child.pid ?? 0;
    },
    dataDir,
    printed,
    client,
    slot: async (wanted = {}) => await (await client()).acquire(wanted),
    mint: async (order) => await mintAt({ url, token: TOKEN }, order),
    memory: () => residentBytes(child.pid ?? 0) + residentBytes(keeperOf(dataDir) ?? 0),
    signal,
    again: start,
    close: async () => {
      await Promise.all(clients.splice(0).map((each) => each.close()));
      await signal('SIGTERM');
      await endKeeper(dataDir);
      remove();
    },
  };
}

async function remoteTarget(to: Remote, as: User, options: TargetOptions): Promise<Target> {
  const { flags = [], env, through, dataDir } = options;
  if (as === 'root') return needs('a gateway that root runs');
  const own = [env, through, dataDir].some((option) => option !== undefined);
  const slots = own ? null : await RemoteSlots.open(to, flags);
  if (slots === null) return needs('a gateway of its own');
  const clients: Client[] = [];
  const client = async (token = to.token): Promise<Client> => {
    const made = await connect({ url: to.url, token, validate: true });
    clients.push(made);
    return made;
  };
  const host = <T>(): T => needs<T>("the gateway's host");
  return {
    as,
    url: to.url,
    port: Number(new URL(to.url).port),
    get pid() {
      return host<number>();
    },
    get dataDir() {
      return to.dataDir ?? host<string>();
    },
    get printed() {
      return host<Target['printed']>();
    },
    client,
    slot: async (wanted = {}) => await (await client()).acquire(wanted),
    mint: async (order) => await mintAt(to, order),
    memory: () => host(),
    signal: () => host(),
    again: () => host(),
    close: async () => {
      await Promise.all(clients.splice(0).map((each) => each.close()));
      await slots.free();
    },
  };
}

/** One target for each user, for all tests of a file, started when first needed. */
export function targets(options: TargetOptions = {}): (as: User) => Promise<Target> {
  const started = new Map<User, Promise<Target>>();
  afterAll(async () => {
    for (const one of started.values()) await (await one).close();
  });
  const wasLeftOff = leftOff();
  return (as) => {
    const former = started.get(as);
    const fresh = async (): Promise<Target> => {
      await (await former)?.close();
      return await (remote === null ? target(as, options) : remoteTarget(remote, as, options));
    };
    const one = former === undefined || wasLeftOff() ? fresh() : former;
    started.set(as, one);
    return one;
  };
}

interface Start extends TargetOptions {
  readonly isOther: boolean;
  readonly program: string;
  readonly dataDir: string;
  readonly printed: Target['printed'];
}

async function started(start: Start): Promise<{ child: ChildProcess; url: string }> {
  const { isOther, program, dataDir, printed, flags = [], env = {}, through = [] } = start;
  const canary = join(dataDir, 'canary');
  writeFileSync(canary, CANARY);
  const descriptor = openSync(canary, 'r');
  const serve = ['serve', '--port', '0', '--data-dir', dataDir, '--slots', '4', '--drain-ms', '0', ...flags];
  const [file = '', ...args] = [
    ...through.map((word) => word.replaceAll('$DATA', dataDir)),
    ...(isOther ? dropTo(USER_ID) : []),
    process.execPath,
    join(program, 'dist', 'cli', 'main.js'),
    ...serve,
  ];
  const stdio: ('ignore' | 'pipe' | number)[] = ['ignore', 'pipe', 'pipe'];
  stdio[CANARY_FD] = descriptor;
  for (let fd = 3; fd < CANARY_FD; fd++) stdio[fd] = 'ignore';
  const child = spawn(file, args, {
    cwd: '/',
    env: {
      PATH: process.env['PATH'],
      TMPDIR: tmpdir(),
      HOME: dataDir,
      SLOTCAST_TOKEN: TOKEN,
      GATEWAY_CANARY: CANARY,
      ...env,
    },
    stdio,
  });
  closeSync(descriptor);
  const url = await new Promise<string>((resolve, reject) => {
    child.stderr?.on('data', (data) => (printed.stderr += data));
    child.stdout?.on('data', (data) => {
      printed.stdout += data;
      const [found] =
        /http:\/\/127\.0\.0\.1:\d+(?=\/\n)/.exec(printed.stdout.slice(printed.stdout.lastIndexOf('slotcast is at'))) ??
        [];
      if (found !== undefined) resolve(found);
    });
    child.once('error', reject);
    child.once('close', () => reject(new Error(`the gateway ended: ${printed.stderr}`)));
  });
  return { child, url };
}

function dropTo(user: number): string[] {
  // By its path: the gateway's PATH may be one of a test, with what the gateway needs and nothing else.
  return ['/usr/bin/setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups', '--'];
}

/** The program where that user can read it: here, or as a copy when the clone is in a private directory. */
function readable(): { readonly program: string; close(): void } {
  const [file = '', ...args] = [...dropTo(USER_ID), 'test', '-r', join(root, 'dist', 'cli', 'main.js')];
  if (spawnSync(file, args).status === 0) return { program: root, close: () => {} };
  const program = mkdtempSync(join(tmpdir(), 'slotcast-program-'));
  chmodSync(program, 0o755);
  for (const part of ['dist', 'node_modules', 'package.json'])
    cpSync(join(root, part), join(program, part), { recursive: true });
  return { program, close: () => rmSync(program, { recursive: true, force: true }) };
}

function residentBytes(pid: number): number {
  if (pid === 0) return 0;
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
}
