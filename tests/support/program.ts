// The program in a process of its own, to be killed, stopped and started again on the same data directory and port. It ends the gateway and the
// keeper that it started, by pid and start time, and nothing else.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, connect } from '../../client/index.ts';
import { endKeeper } from './keeper.ts';

const main = new URL('../../dist/cli/main.js', import.meta.url).pathname;
export const TOKEN = 'a-credential-that-only-a-test-knows';

/** With its start time a pid names one process for ever. */
export interface Running {
  readonly pid: number;
  readonly started: string;
}

/** How a process ended: its exit code, or the signal. */
export type Ending = number | NodeJS.Signals | null;

export interface Serving {
  readonly pid: number;
  readonly ended: Promise<Ending>;
  /** Until it said where it is. */
  readonly tookMs: number;
  kill(signal: NodeJS.Signals): void;
}

export interface Program {
  readonly url: string;
  readonly dataDir: string;
  /** What every gateway so far has said. */
  readonly said: { stdout: string; stderr: string };
  /** The one that was started last. */
  readonly gateway: Serving;
  /** As keeper.pid names it; throws when it does not live. */
  readonly keeper: Running;
  /** Starts a gateway on the data directory. Rejects with what it says instead of its address. */
  serve(...flags: string[]): Promise<Serving>;
  /** Sends a signal to the gateway and resolves with how it ended. */
  end(signal: NodeJS.Signals): Promise<Ending>;
  /** Kills the gateway that was started last, also while it starts. */
  endNewest(): Promise<void>;
  /** A connection of its own, closed with the program. It comes back by itself. */
  client(): Promise<Client>;
  /** Ends gateway and keeper; resolves when both are gone. */
  close(): Promise<void>;
}

/** Makes a data directory, unless the flags name one, and finds a port; starts nothing. */
export async function makeProgram(...flags: string[]): Promise<Program> {
  const given = flags.includes('--data-dir') ? flags[flags.indexOf('--data-dir') + 1] : undefined;
  const dataDir = given ?? mkdtempSync(join(tmpdir(), 'slotcast-fault-'));
  const url = `http://127.0.0.1:${await freePort()}`;
  const said = { stdout: '', stderr: '' };
  const clients: Client[] = [];
  const children: ChildProcess[] = [];
  let gateway: Serving | null = null;
  const serve = async (...more: string[]): Promise<Serving> => {
    const args = ['serve', '--port', new URL(url).port, '--data-dir', dataDir, '--slots', '4', '--log-level', 'warn'];
    const child = spawn(process.execPath, [main, ...args, ...flags, ...more], {
      env: { PATH: process.env['PATH'], HOME: dataDir, TMPDIR: tmpdir(), SLOTCAST_TOKEN: TOKEN },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.push(child);
    gateway = await serving(child, said);
    return gateway;
  };
  const current = (): Serving => {
    if (gateway === null) throw new Error('no gateway was started');
    return gateway;
  };
  const keeper = (): Running | null => livingAt(join(dataDir, 'keeper.pid'));
  return {
    url,
    dataDir,
    said,
    get gateway() {
      return current();
    },
    get keeper() {
      const found = keeper();
      if (found === null) throw new Error('keeper.pid names no process that lives');
      return found;
    },
    serve,
    end: async (signal) => {
      current().kill(signal);
      return await current().ended;
    },
    endNewest: async () => {
      const child = children.at(-1);
      if (child !== undefined) await endChild(child, 'SIGKILL');
    },
    client: async () => {
      const client = await connect({ url, token: TOKEN, validate: true });
      clients.push(client);
      return client;
    },
    close: async () => {
      await Promise.all(clients.splice(0).map((client) => client.close()));
      for (const child of children) await endChild(child);
      await endKeeper(dataDir);
      if (given === undefined) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** The same with a gateway that runs. */
export async function startProgram(...flags: string[]): Promise<Program> {
  const program = await makeProgram(...flags);
  await program.serve().catch(async (error: unknown) => {
    await program.close();
    throw error;
  });
  return program;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function serving(child: ChildProcess, said: Program['said']): Promise<Serving> {
  const beginMs = performance.now();
  let stdout = '';
  let stderr = '';
  // Not `close`: whoever inherits the pipes may live on.
  const ended = new Promise<Ending>((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
  const up = new Promise<void>((resolve, reject) => {
    child.stderr?.on('data', (data) => {
      said.stderr += data;
      stderr += data;
    });
    child.stdout?.on('data', (data) => {
      said.stdout += data;
      stdout += data;
      if (stdout.includes('slotcast is at')) resolve();
    });
    // What it said last comes with the end of its pipe.
    child.once('close', (code) => reject(new Error(`ended with ${code}: ${stderr}`)));
  });
  await up;
  return { pid: child.pid ?? 0, ended, tookMs: performance.now() - beginMs, kill: (signal) => void child.kill(signal) };
}

async function endChild(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGCONT');
  child.kill(signal);
  await ended;
}

function livingAt(pidFile: string): Running | null {
  const [pid = '', started = ''] = read(pidFile).trim().split(' ');
  const found = { pid: Number(pid), started };
  return found.pid > 1 && isAlive(found) ? found : null;
}

/** Those below a process, with the process itself. */
export function treeOf(root: number): Running[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    parents.set(Number(name), Number(fieldsOf(Number(name))[1]));
  }
  const isBelow = (pid: number): boolean => pid === root || (pid > 1 && isBelow(parents.get(pid) ?? 0));
  return [...parents.keys()].filter(isBelow).map((pid) => ({ pid, started: fieldsOf(pid)[19] ?? '' }));
}

export const commandOf = ({ pid }: Running): string => read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();

/** A dead one that nobody has waited for yet does not live. */
export function isAlive({ pid, started }: Running): boolean {
  const fields = fieldsOf(pid);
  return fields[19] === started && fields[0] !== 'Z' && fields[0] !== 'X';
}

/** Only to the process that was meant. */
export function signalTo(running: Running, signal: NodeJS.Signals): void {
  if (isAlive(running)) process.kill(running.pid, signal);
}

/** From the third field of /proc/PID/stat on: state, parent, …; the name before them may hold anything. */
function fieldsOf(pid: number): string[] {
  const stat = read(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
