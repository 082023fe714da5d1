// Tries an attack from within a slot, by a command and in its terminal, and sees from the host what became of it. Nothing here may harm a host on which it succeeds.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { Slot } from '../../client/index.ts';
import { needs, remote } from '../support/remote.ts';
import type { User } from './catalogue.ts';
import type { Target } from './gateway.ts';

/** An attack as Perl: every Debian and Ubuntu has it, and it makes any system call. */
export const perl = (code: string): string => `perl -e '${code.replaceAll("'", `'\\''`)}'`;

export class Inside {
  readonly slot: Slot;
  readonly target: Target;

  constructor(slot: Slot, target: Target) {
    this.slot = slot;
    this.target = target;
  }

  /** What a command said, on both streams. */
  async exec(command: string): Promise<string> {
    const { stdout } = await this.slot.exec.run({ command: `exec 2>&1\n${command}` });
    return stdout;
  }

  async terminal(command: string): Promise<string> {
    return (await this.slot.terminal.run({ command })).output.replaceAll('\r', '');
  }

  /** What it said as a command and in the terminal. */
  async both(command: string): Promise<[exec: string, terminal: string]> {
    return [await this.exec(command), await this.terminal(command)];
  }

  /** Where the host keeps it. */
  get home(): string {
    return join(this.target.dataDir, 'slots', this.slot.name);
  }
}

/** One slot for each user, for all tests of a file. */
export function insides(of: (as: User) => Promise<Target>): (as: User) => Promise<Inside> {
  const opened = new Map<User, { readonly target: Target; readonly inside: Promise<Inside> }>();
  afterAll(async () => {
    for (const { inside } of opened.values()) await (await inside).slot.release();
  });
  return async (as) => {
    const target = await of(as);
    const known = opened.get(as);
    const one = known?.target === target ? known : { target, inside: open(target) };
    opened.set(as, one);
    return await one.inside;
  };
}

const open = async (target: Target): Promise<Inside> => new Inside(await target.slot(), target);

/** The control: the same on the host. */
export function onHost(command: string): string {
  if (remote !== null) return needs("the gateway's host");
  const { stdout, stderr } = spawnSync('bash', ['-c', command], { encoding: 'utf8', cwd: '/' });
  return stdout + stderr;
}

/** EPERM for 1. What is no number stays as it is. */
export function errnoName(said: string): string {
  const number = said.trim();
  return Object.entries(constants.errno).find(([, value]) => String(value) === number)?.[0] ?? number;
}

export interface HostProcess {
  readonly pid: number;
  /** Its number in each pid namespace, the host's first. */
  readonly pids: readonly number[];
  /** Fields of /proc/PID/status. */
  readonly status: Readonly<Record<string, string>>;
}

/** All below that process, as the host sees them. */
export function descendants(pid: number): HostProcess[] {
  if (remote !== null) return needs("the gateway's host");
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => statusOf(Number(name)));
  const found: HostProcess[] = [];
  const parents = [pid];
  for (let parent = parents.pop(); parent !== undefined; parent = parents.pop()) {
    const children = all.filter(({ status }) => Number(status['PPid']) === parent);
    found.push(...children);
    parents.push(...children.map((child) => child.pid));
  }
  return found;
}

/** Those of them that are in a sandbox. */
export function sandboxed(pid: number): HostProcess[] {
  return descendants(pid).filter(({ pids }) => pids.length > 1);
}

function statusOf(pid: number): HostProcess[] {
  try {
    const lines = readFileSync(`/proc/${pid}/status`, 'utf8').split('\n');
    const status = Object.fromEntries(lines.map((line) => line.split(':\t') as [string, string]));
    return [{ pid, pids: (status['NSpid'] ?? '').split('\t').map(Number), status }];
  } catch {
    // It has ended meanwhile.
    return [];
  }
}
