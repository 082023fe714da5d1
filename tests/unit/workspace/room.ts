// A workspace on a real disk with something worth stealing beside it. Must never leave a directory behind.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect } from 'vitest';
import { Fault, type FaultName } from '../../../protocol/fault.ts';
import { Workspace } from '../../../server/workspace/workspace.ts';

export const isRoot = process.geteuid?.() === 0;
export const owner = isRoot ? { uid: 210_000, gid: 210_000 } : null;
export const SECRET = 'the host keeps this';

export interface Room {
  readonly base: string;
  readonly root: string;
  /** Beside the workspace: holds `secret.txt`. */
  readonly outside: string;
  readonly workspace: Workspace;
  /** Of the host. */
  at(path: string): string;
  /** Writes below the workspace by the host, with parents. */
  put(path: string, data?: string | Buffer): string;
}

const rooms: string[] = [];

afterEach(() => {
  // Node's own rm recurses, and some trees here are deep.
  for (const room of rooms.splice(0)) execFileSync('rm', ['-rf', room]);
});

export function makeRoom(): Room {
  const base = mkdtempSync(join(tmpdir(), 'slotcast-workspace-'));
  rooms.push(base);
  const [root, outside] = [join(base, 'slot_0'), join(base, 'slot_1')];
  for (const directory of [root, outside]) mkdirSync(directory);
  writeFileSync(join(outside, 'secret.txt'), SECRET);
  if (owner) chownSync(root, owner.uid, owner.gid);
  const at = (path: string): string => join(root, path);
  const put = (path: string, data: string | Buffer = ''): string => {
    mkdirSync(join(at(path), '..'), { recursive: true });
    writeFileSync(at(path), data);
    return at(path);
  };
  return { base, root, outside, workspace: new Workspace({ root, owner }), at, put };
}

/** Runs Python, the payload of these tests, and gives what it printed. */
export async function python(code: string, ...args: string[]): Promise<string> {
  const child = spawn('python3', ['-c', code, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.on('data', (data) => {
    out += data;
  });
  child.stderr.on('data', (data) => {
    err += data;
  });
  const [exitCode] = await once(child, 'close');
  if (exitCode !== 0) throw new Error(`python: ${err}`);
  return out;
}

export async function faultOf(call: Promise<unknown>): Promise<Fault> {
  const error = await call.then(
    () => new Error('no fault'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof Fault)) throw error;
  expect(error.message, 'a message shows no path of the host').not.toMatch(/\/proc\/|\/tmp\/|slotcast-workspace/);
  return error;
}

export async function nameOf(call: Promise<unknown>): Promise<FaultName> {
  return (await faultOf(call)).fault;
}

/** Polls until it holds; descriptors are closed in the background. */
export async function eventually(check: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!check()) {
    if (Date.now() > deadline) throw new Error(`not within 5 s: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** The longest that the event loop was held up while `work` ran, in ms. What other processes took of the processor meanwhile is left out. */
export async function longestStall<T>(work: Promise<T>): Promise<{ stallMs: number; result: T }> {
  const now = (): { wall: number; cpu: number } => {
    const { user, system } = process.cpuUsage();
    return { wall: performance.now(), cpu: (user + system) / 1000 };
  };
  let [stallMs, last] = [0, now()];
  const look = (): void => {
    const { wall, cpu } = now();
    stallMs = Math.max(stallMs, Math.min(wall - last.wall, cpu - last.cpu));
    last = { wall, cpu };
  };
  const timer = setInterval(look, 1);
  try {
    const result = await work;
    look();
    return { stallMs, result };
  } finally {
    clearInterval(timer);
  }
}
