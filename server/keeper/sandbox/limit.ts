// Resource limits as arguments of prlimit(1). A limit never goes above what the host already set: raising one fails and would stop the sandbox.
import { readFileSync } from 'node:fs';
import type { Limits } from './policy.ts';

type LimitName = 'nproc' | 'fsize' | 'nofile' | 'core';
export type HardLimits = Readonly<Partial<Record<LimitName, number>>>;

const ROWS: Readonly<Record<string, LimitName>> = {
  'Max processes': 'nproc',
  'Max file size': 'fsize',
  'Max open files': 'nofile',
  'Max core file size': 'core',
};

/** Too small for any core dump, and the one size at which the kernel doesn't start the host's core_pattern program either: at 0 it would. */
const CORE_BYTES = 1;

/** The hard limits of this process, which children inherit; what is unlimited is left out. `text` is that of /proc/self/limits. */
export function hardLimits(text = readFileSync('/proc/self/limits', 'utf8')): HardLimits {
  const found: Partial<Record<LimitName, number>> = {};
  for (const line of text.split('\n')) {
    const [, label = '', hard = ''] = /^(.*?)\s+(?:\d+|unlimited)\s+(\d+|unlimited)\s/.exec(line) ?? [];
    const name = ROWS[label];
    if (name !== undefined && hard !== 'unlimited') found[name] = Number(hard);
  }
  return found;
}

/** Around bwrap: for everything of the sandbox. The number of processes is counted over all sandboxes of a user id here, so it needs one of the slot's own. */
export function outerLimit(
  limits: Limits,
  options: { readonly ownUser: boolean; readonly hard: HardLimits },
): string[] {
  const { hard, ownUser } = options;
  const args = [limit('fsize', limits.fileBytes, hard), limit('nofile', limits.openFiles, hard)];
  args.push(limit('core', CORE_BYTES, hard));
  if (ownUser) args.push(limit('nproc', limits.slotProcesses, hard));
  return ['prlimit', ...args, '--'];
}

/** So many more than a control group allows, so that the group, which counts how often it struck, comes first. */
const BEHIND_GROUP = 64;

/** Inside, where the kernel counts the processes of this user namespace alone. */
export function innerLimit(
  limits: Limits,
  options: { readonly grouped: boolean; readonly hard: HardLimits },
): string[] {
  return ['/usr/bin/prlimit', limit('nproc', innerProcesses(limits, options), options.hard), '--'];
}

/** The same as a number, for what sets it itself. */
export function innerProcesses(
  limits: Limits,
  { grouped, hard }: { readonly grouped: boolean; readonly hard: HardLimits },
): number {
  return atMost('nproc', limits.processes + (grouped ? BEHIND_GROUP : 0), hard);
}

function limit(name: LimitName, wanted: number, hard: HardLimits): string {
  const value = atMost(name, wanted, hard);
  return `--${name}=${value}:${value}`;
}

const atMost = (name: LimitName, wanted: number, hard: HardLimits): number => Math.min(wanted, hard[name] ?? wanted);
