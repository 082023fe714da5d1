// Control groups: a group for each slot with its limits of memory and processes, and below it one for each sandbox, so that it can be told which one a limit struck.
// They lie where the operator lets the gateway write (v1 or v2); it never moves anything but what it started, and itself out of the way.
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { mkdir, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { tryKill } from '../foreground.ts';
import type { Limits } from './policy.ts';

type Controller = 'memory' | 'pids' | 'cpu';
const CONTROLLERS: readonly Controller[] = ['memory', 'pids', 'cpu'];

/** The kernel lets go of a group some ms after its last process. */
const REMOVE_TRIES = 20;
const REMOVE_WAIT_MS = 25;

/** A hierarchy that is writable: all controllers in v2, one of them in v1. */
interface Tree {
  readonly version: 1 | 2;
  readonly controllers: readonly Controller[];
  readonly dir: string;
}

/** How often a limit struck in one sandbox, since it began. */
export interface Strikes {
  /** Processes that the kernel killed for want of memory. */
  readonly memory: number;
  /** Processes and threads that could not be started. */
  readonly processes: number;
}

export const NO_STRIKES: Strikes = { memory: 0, processes: 0 };

/** Why there can be no groups. */
export class CgroupError extends Error {}

/** Such a file has some ten lines of a name and a number. */
const COUNTS_BYTES = 1024;

interface SlotGroup {
  readonly made: Promise<void>;
  /** Number of the last sandbox: a sandbox sees it, so it tells nothing of other slots. */
  last: number;
}

export class Cgroups {
  /** `cgroup v1` or `cgroup v2`. */
  readonly version: 1 | 2;
  readonly #trees: readonly Tree[];
  readonly #slots = new Map<string, SlotGroup>();

  private constructor(trees: readonly Tree[]) {
    this.#trees = trees;
    this.version = trees[0]?.version ?? 2;
  }

  /** Groups for who goes by that name, mostly a data directory; what one that was killed has left there is ended and removed. Rejects with CgroupError that says what is missing. */
  static async open(owner: string): Promise<Cgroups> {
    const name = `slotcast-${createHash('sha256').update(owner).digest('hex').slice(0, 12)}`;
    return new Cgroups(await Promise.all(writableTrees().map(async (tree) => await begun(tree, name))));
  }

  has(controller: Controller): boolean {
    return this.#trees.some(({ controllers }) => controllers.includes(controller));
  }

  /** A group for one sandbox of the slot. */
  async group(slot: string, limits: Limits): Promise<Cgroup> {
    const group = this.#slot(slot, limits);
    await group.made;
    const name = join(slot, `s${++group.last}`);
    const trees = this.#trees.map((tree) => ({ ...tree, dir: join(tree.dir, name) }));
    await Promise.all(trees.map(async (tree) => await made(tree, { pids: limits.processes })));
    return new Cgroup(trees);
  }

  /** Removes all groups; nothing may run in them any more. */
  async close(): Promise<void> {
    for (const { dir } of this.#trees) await removeGroups(dir);
  }

  #slot(slot: string, { memoryBytes, slotProcesses }: Limits): SlotGroup {
    const known = this.#slots.get(slot);
    if (known !== undefined) return known;
    const trees = this.#trees.map((tree) => ({ ...tree, dir: join(tree.dir, slot) }));
    const groups = Promise.all(
      trees.map(async (tree) => {
        await made(tree, { memory: memoryBytes, pids: slotProcesses });
        if (tree.version === 2) await writeFile(join(tree.dir, 'cgroup.subtree_control'), enabled(tree));
      }),
    );
    const group = { made: groups.then(() => undefined), last: 0 };
    group.made.catch(() => this.#slots.delete(slot));
    this.#slots.set(slot, group);
    return group;
  }
}

/** As Cgroups.open, or why there are none. */
export async function openCgroups(owner: string): Promise<Cgroups | CgroupError> {
  try {
    return await Cgroups.open(owner);
  } catch (error) {
    if (error instanceof CgroupError) return error;
    return new CgroupError(`they can't be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
}

/** The group of one sandbox, or of one after the other. */
export class Cgroup {
  readonly #trees: readonly Tree[];
  /** What struck before its present sandbox, and what had when that was asked last. */
  #before = NO_STRIKES;
  #last = NO_STRIKES;
  #giveBack: (() => void) | null = null;
  #closed = false;
  /** From the first look on, as long as it is nobody else's: to open a file takes as long as a shell needs for a command. */
  #counts: Readonly<Record<keyof Strikes, CountFile | null>> | null = null;

  constructor(trees: readonly Tree[]) {
    this.#trees = trees;
  }

  /**
   * Files that a process of one thread writes 0 to, to be in this group with all that it starts. In v1 that is the file for threads: by the other one the kernel
   * holds up every fork and exit of the host, and waits some 10 ms until it can.
   */
  get joins(): readonly string[] {
    return this.#trees.map(({ dir, version }) => join(dir, version === 1 ? 'tasks' : 'cgroup.procs'));
  }

  /** `pid` must not have started anything yet. */
  async add(pid: number): Promise<void> {
    await Promise.all(this.#trees.map(async ({ dir }) => await writeFile(join(dir, 'cgroup.procs'), String(pid))));
  }

  /** For one sandbox of several: the next `close` does not remove it, but calls this. */
  lend(giveBack: () => void): void {
    this.#giveBack = giveBack;
  }

  /** Zeros once it is closed. */
  strikes(): Strikes {
    if (this.#closed) return NO_STRIKES;
    this.#last = this.#count();
    const { memory, processes } = this.#last;
    return { memory: memory - this.#before.memory, processes: processes - this.#before.processes };
  }

  #count(): Strikes {
    this.#counts ??= {
      memory: this.#countFile('memory', { 1: 'memory.oom_control', 2: 'memory.events' }, 'oom_kill'),
      processes: this.#countFile('pids', { 1: 'pids.events', 2: 'pids.events' }, 'max'),
    };
    const { memory, processes } = this.#counts;
    return { memory: memory?.read() ?? 0, processes: processes?.read() ?? 0 };
  }

  #countFile(controller: Controller, files: Readonly<Record<1 | 2, string>>, name: string): CountFile | null {
    const tree = this.#trees.find(({ controllers }) => controllers.includes(controller));
    return tree === undefined ? null : new CountFile(join(tree.dir, files[tree.version]), name);
  }

  #closeCounts(): void {
    this.#counts?.memory?.close();
    this.#counts?.processes?.close();
    this.#counts = null;
  }

  /** Everything in it must be dead. What the kernel does not let go yet goes with the slot's group. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closeCounts();
    if (this.#giveBack !== null) {
      const giveBack = this.#giveBack;
      this.#giveBack = null;
      this.#before = this.#last;
      return giveBack();
    }
    this.#closed = true;
    await Promise.all(this.#trees.map(async ({ dir }) => await removed(dir)));
  }
}

/** A number in one of a group's files. */
class CountFile {
  readonly #fd: number;
  readonly #line: RegExp;

  constructor(path: string, name: string) {
    this.#fd = openSync(path, 'r');
    this.#line = new RegExp(`^${name} (\\d+)$`, 'm');
  }

  read(): number {
    const buffer = Buffer.allocUnsafe(COUNTS_BYTES);
    const text = buffer.toString('latin1', 0, readSync(this.#fd, buffer, 0, COUNTS_BYTES, 0));
    return Number(this.#line.exec(text)?.[1] ?? 0);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Makes a group with its limits; 0 is none. */
async function made(tree: Tree, limits: { readonly memory?: number; readonly pids?: number }): Promise<void> {
  const { dir, version, controllers } = tree;
  await mkdir(dir);
  const write = async (file: string, value: number): Promise<void> => await writeFile(join(dir, file), String(value));
  const { memory = 0, pids = 0 } = limits;
  if (controllers.includes('memory') && memory > 0) {
    await write(version === 1 ? 'memory.limit_in_bytes' : 'memory.max', memory);
    // Without it what is too much would go to the host's swap; there is none of these files where the kernel does not count swap.
    const swap = version === 1 ? write('memory.memsw.limit_in_bytes', memory) : write('memory.swap.max', 0);
    await swap.catch(() => undefined);
  }
  if (controllers.includes('pids') && pids > 0) await write('pids.max', pids);
}

const enabled = ({ controllers }: Tree): string => controllers.map((name) => `+${name}`).join(' ');

/** The gateway's group in a tree, empty. */
async function begun(tree: Tree, name: string): Promise<Tree> {
  const dir = join(tree.dir, name);
  try {
    await removeGroups(dir, kill);
    await mkdir(dir);
    if (tree.version === 2) await writeFile(join(dir, 'cgroup.subtree_control'), enabled(tree));
    return { ...tree, dir };
  } catch (error) {
    throw new CgroupError(`no group can be made there (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
}

interface Mount {
  readonly type: string;
  readonly root: string;
  readonly point: string;
  readonly options: readonly string[];
}

/** Where this process may make groups. */
function writableTrees(): readonly Tree[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n').flatMap(parseMount);
  const own = readFileSync('/proc/self/cgroup', 'utf8');
  const v1 = CONTROLLERS.flatMap((name): Tree[] => {
    const mount = mounts.find(({ type, options }) => type === 'cgroup' && options.includes(name));
    const path = new RegExp(`^\\d+:(?:[^:]*,)?${name}(?:,[^:]*)?:(.*)$`, 'm').exec(own)?.[1];
    if (mount === undefined || path === undefined) return [];
    return [{ version: 1, controllers: [name], dir: inMount(mount, path) }];
  });
  if (v1.some(({ controllers }) => controllers.includes('memory'))) return v1;
  const mount = mounts.find(({ type }) => type === 'cgroup2');
  const path = /^0::(.*)$/m.exec(own)?.[1];
  if (mount === undefined || path === undefined) throw new CgroupError('no control groups are mounted');
  return [delegated(inMount(mount, path), mount.point)];
}

function parseMount(line: string): Mount[] {
  const [place = '', kind = ''] = line.split(' - ');
  const [, , , root = '', point = ''] = place.split(' ');
  const [type = '', , options = ''] = kind.split(' ');
  return type.startsWith('cgroup') ? [{ type, root, point, options: options.split(',') }] : [];
}

/** A group's directory as this process sees it; in a container the mount may begin at its own group. */
function inMount({ root, point }: Mount, path: string): string {
  const below = relative(root, path);
  return below.startsWith('..') ? point : join(point, below);
}

/**
 * In v2 a group with processes can't have groups with limits below it. So the gateway goes into one of its own beside theirs, if it is alone;
 * else its parent is tried, which a unit with DelegateSubgroup= leaves to it.
 */
function delegated(own: string, top: string): Tree {
  const controllers = (dir: string): Controller[] => {
    const there = readFileSync(join(dir, 'cgroup.controllers'), 'utf8').trim().split(' ');
    return CONTROLLERS.filter((name) => there.includes(name));
  };
  const failures: string[] = [];
  for (const dir of own === top ? [own] : [own, dirname(own)]) {
    const tree: Tree = { version: 2, controllers: controllers(dir), dir };
    try {
      if (!tree.controllers.includes('memory')) throw new CgroupError('it has no memory controller');
      if (dir === own && own !== top) stepAside(own);
      writeFileSync(join(dir, 'cgroup.subtree_control'), enabled(tree));
      return tree;
    } catch (error) {
      failures.push(
        error instanceof CgroupError ? error.message : ((error as NodeJS.ErrnoException).code ?? 'unknown'),
      );
    }
  }
  throw new CgroupError(`the gateway's own group can't be divided (${failures.join(', ')})`);
}

/** Moves this process, if it is the only one, from its group into one below it. */
function stepAside(own: string): void {
  const there = readFileSync(join(own, 'cgroup.procs'), 'utf8').trim().split('\n').filter(Boolean);
  if (there.some((pid) => Number(pid) !== process.pid)) throw new CgroupError('other programs are in it');
  if (there.length === 0) return;
  const dir = join(own, 'gateway');
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'cgroup.procs'), String(process.pid));
}

/** `busy` is called while something is in it. */
async function removed(dir: string, busy: (dir: string) => void = () => {}): Promise<void> {
  for (let tries = 0; tries < REMOVE_TRIES; tries++) {
    try {
      return await rmdir(dir);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return;
      if (code !== 'EBUSY') throw error;
      busy(dir);
      await new Promise((resolve) => setTimeout(resolve, REMOVE_WAIT_MS).unref());
    }
  }
}

async function removeGroups(dir: string, busy?: (dir: string) => void): Promise<void> {
  for (const below of groupsBelow(dir)) await removeGroups(below, busy);
  await removed(dir, busy);
}

/** What is in a group of one that is dead dies with it, if not at once. */
function kill(dir: string): void {
  const pids = readFileSync(join(dir, 'cgroup.procs'), 'utf8').split('\n').map(Number);
  // 0: one that can't be seen from here.
  for (const pid of pids) if (pid > 1 && pid !== process.pid) tryKill(pid, 'SIGKILL');
}

function groupsBelow(dir: string): string[] {
  try {
    const entries = readdirSync(dir, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(dir, name));
  } catch {
    return [];
  }
}
