// The program under test: a gateway on a fixed port and its keeper, each a process that can be hurt on its own.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const program = new URL('../../dist/cli/main.js', import.meta.url).pathname;
export const TOKEN = 'a-credential-for-the-chaos-run-alone';
/** What a start may take on a busy machine, until it is called hanging. */
const START_MS = 30_000;
/** A drain, and everything that ends after it. */
const END_MS = 60_000;

export const read = (file) => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
};
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Field 22 of stat: with the pid it names one process for ever. */
export function startTimeOf(pid) {
  const stat = read(`/proc/${pid}/stat`);
  return stat === '' ? null : (stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null);
}

/** Dead children that nobody has waited for yet do not live. */
export function isAlive({ pid, started }) {
  const stat = read(`/proc/${pid}/stat`);
  return started !== null && startTimeOf(pid) === started && stat.slice(stat.lastIndexOf(')') + 2)[0] !== 'Z';
}

/** All processes below this one. */
export function treeOf(root) {
  const children = new Map();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const stat = read(`/proc/${name}/stat`);
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const below = (pid) => (children.get(pid) ?? []).flatMap((child) => [child, ...below(child)]);
  return below(root).map((pid) => ({
    pid,
    started: startTimeOf(pid),
    command: read(`/proc/${pid}/cmdline`).replaceAll('\0', ' '),
  }));
}

export const memoryMiB = (pid) =>
  Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) / 1024);

export class Program {
  #dataDir;
  #args;
  #env;
  #child = null;
  /** What all gateways so far wrote to stderr, the last of it. */
  log = '';

  constructor({ dataDir, port, flags, env }) {
    this.#dataDir = dataDir;
    this.#args = ['serve', '--port', String(port), '--data-dir', dataDir, '--log-level', 'warn', ...flags];
    this.#env = { ...process.env, ...env, SLOTCAST_TOKEN: TOKEN };
  }

  get pid() {
    return this.#child?.pid ?? 0;
  }

  /** The keeper that lives by its own word; null when there is none. */
  get keeper() {
    const [pid, started] = read(join(this.#dataDir, 'keeper.pid')).trim().split(' ');
    const found = { pid: Number(pid), started };
    return pid && started && isAlive(found) ? found : null;
  }

  /** Starts a gateway and resolves with the ms that it took to be there. Rejects with what it said instead. */
  async start(...more) {
    const beginMs = performance.now();
    const child = spawn(process.execPath, [program, ...this.#args, ...more], {
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (data) => {
      said += data;
      this.log = (this.log + data).slice(-100_000);
    });
    child.ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
    this.#child = child;
    let printed = '';
    const up = new Promise((resolve) => {
      child.stdout.on('data', (data) => {
        printed += data;
        if (printed.includes('slotcast is at')) resolve('up');
      });
    });
    const late = sleep(START_MS).then(() => 'late');
    const first = await Promise.race([up, late, child.ended]);
    if (first === 'up') return performance.now() - beginMs;
    child.kill('SIGKILL');
    throw new Error(`the gateway did not start (${first}): ${said.slice(-2000)}`);
  }

  /** Sends a signal to the gateway and resolves with its exit code or the signal that ended it. */
  async end(signal, child = this.#child) {
    child.kill(signal);
    const late = sleep(END_MS).then(() => 'late');
    const how = await Promise.race([child.ended, late]);
    if (how !== 'late') return how;
    child.kill('SIGKILL');
    await child.ended;
    return `nothing within ${END_MS} ms`;
  }

  /** Another gateway takes the place of this one; resolves with how that one ended. */
  async replace() {
    const former = this.#child;
    const tookMs = await this.start('--replace');
    const how = await Promise.race([former.ended, sleep(END_MS).then(() => 'late')]);
    return { how, tookMs };
  }

  signal(name) {
    this.#child.kill(name);
  }

  get socketFile() {
    return join(this.#dataDir, 'keeper.sock');
  }

  get hasSocket() {
    return existsSync(this.socketFile);
  }
}
