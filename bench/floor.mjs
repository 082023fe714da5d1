// The floors that are programs of their own: they do the least that the work needs, by the very sandbox line of the gateway.
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { newDirectory, startGateway } from './gateway.mjs';

const source = (name) => new URL(`floor/${name}`, import.meta.url).pathname;

/** The sandbox lines of a gateway, and the programs that start them. Made once for a whole run. */
export async function prepareFloor() {
  const home = newDirectory();
  chmodSync(home, 0o777);
  // Copies: the slot's user may not get to where the sources are.
  for (const name of ['bwrap', 'spawn.pl', 'pty.pl']) {
    copyFileSync(source(name), join(home, name));
    chmodSync(join(home, name), 0o755);
  }
  const gateway = await startGateway({ env: { PATH: `${home}:${process.env.PATH}` }, keepData: true });
  try {
    const slot = await (await gateway.connect()).acquire();
    await slot.exec.run({ command: 'true' });
    await slot.terminal.run({ command: 'true' });
  } finally {
    await gateway.close();
  }
  return { home, dataDir: gateway.dataDir, compiled: compiled(home) };
}

export function removeFloor({ home, dataDir }) {
  for (const directory of [home, dataDir]) rmSync(directory, { recursive: true, force: true });
}

/** Whether spawn.c could be compiled. */
function compiled(home) {
  try {
    execFileSync('cc', ['-O2', '-o', join(home, 'spawn'), source('spawn.c')], { stdio: 'ignore' });
    chmodSync(join(home, 'spawn'), 0o755);
    return true;
  } catch {
    return false;
  }
}

/** Arguments of a floor's program, and the slot's user, whose files the sandbox shows. */
function sandbox({ home, dataDir }, kind) {
  const directory = join(home, kind);
  const argsFd = readFileSync(join(directory, 'args.fd'), 'utf8');
  const files = readdirSync(directory).filter((name) => /^\d+$/.test(name));
  const status = /--json-status-fd\0(\d+)/.exec(readFileSync(join(directory, argsFd), 'latin1'))[1];
  const [slot] = readdirSync(join(dataDir, 'slots'));
  const { uid, gid } = statSync(join(dataDir, 'slots', slot, 'workspace'));
  const opened = files.map((fd) => `${fd}=${join(directory, fd)}`);
  return { args: [...opened, `${status}=/dev/null`, '--', 'bwrap', '--args', argsFd, '--'], uid, gid };
}

/** Starts what is asked for by lines and answers with numbers, one question at a time. */
export class Floor {
  #child;
  #lines;

  static commands(prepared) {
    const file = join(prepared.home, prepared.compiled ? 'spawn' : 'spawn.pl');
    return new Floor(prepared.compiled ? [file] : ['perl', file], sandbox(prepared, 'command'));
  }

  static terminals(prepared) {
    return new Floor(['perl', join(prepared.home, 'pty.pl')], sandbox(prepared, 'terminal'));
  }

  constructor([file, ...first], { args, uid, gid }) {
    const root = process.getuid() === 0 ? { uid, gid } : {};
    const env = { PATH: process.env.PATH, LC_ALL: 'C' };
    this.#child = spawn(file, [...first, ...args], { ...root, env, cwd: '/', stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  get pid() {
    return this.#child.pid;
  }

  async ask(order) {
    this.#child.stdin.write(`${order}\n`);
    const numbers = [];
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) throw new Error(`the floor ended at: ${order}`);
      if (value === '.') return numbers;
      numbers.push(Number(value));
    }
  }

  async close() {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.stdin.end();
    await ended;
  }
}
