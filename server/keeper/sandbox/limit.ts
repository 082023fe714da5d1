// Resource limits of sandboxes, and those for prlimit(1). A limit never goes above what the host already set: raising one fails and would stop the sandbox.
import { readFileSync } from 'node:fs';
import type { Limits } from './policy.ts';

type LimitName = 'nproc' | 'fsize' | 'nofile' | 'core';
export type ResourceLimits = Readonly<Partial<Record<LimitName, number>>>;

const ROWS: Readonly<Record<string, LimitName>> = {
  'Max processes': 'nproc',
  'Max file size': 'fsize',
  'Max open files': 'nofile',
  'Max core file size': 'core',
};

/** Too small for any core dump, and the one size at which the kernel doesn't start the host's core_pattern program either: at 0 it would. */
const CORE_BYTES = 1;

/** The hard limits of this process, which children inherit; what is unlimited is left out. `text` is that of /proc/self/limits. */
export function hardLimits(text = readFileSync('/proc/self/limits', 'utf8')): ResourceLimits {
  const found: Partial<Record<LimitName, number>> = {};
  for (const line of text.split('\n')) {
    const [, label = '', hard = ''] = /^(.*?)\s+(?:\d+|unlimited)\s+(\d+|unlimited)\s/.exec(line) ?? [];
    const name = ROWS[label];
    if (name !== undefined && hard !== 'unlimited') found[name] = Number(hard);
  }
  return found;
}

/** Around bwrap: for everything of the sandbox. The number of processes is counted over all sandboxes of a user id here, so it needs one of the slot's own. */
export function outerLimits(
  limits: Limits,
  options: { readonly ownUser: boolean; readonly hard: ResourceLimits },
): ResourceLimits {
  const { hard, ownUser } = options;
  return {
    fsize: atMost('fsize', limits.fileBytes, hard),
    nofile: atMost('nofile', limits.openFiles, hard),
    core: atMost('core', CORE_BYTES, hard),
    ...(ownUser ? { nproc: atMost('nproc', limits.slotProcesses, hard) } : {}),
  };
}

/** The command that sets them before the one that follows. */
export function prlimit(limits: ResourceLimits, file = 'prlimit'): string[] {
  return [file, ...Object.entries(limits).map(([name, value]) => `--${name}=${value}:${value}`), '--'];
}

/** So many more than a control group allows, so that the group, which counts how often it struck, comes first. */
const BEHIND_GROUP = 64;

/** Inside, where the kernel counts the processes of this user namespace alone. */
export function innerProcesses(
  limits: Limits,
  { grouped, hard }: { readonly grouped: boolean; readonly hard: ResourceLimits },
): number {
  return atMost('nproc', limits.processes + (grouped ? BEHIND_GROUP : 0), hard);
}

const atMost = (name: LimitName, wanted: number, hard: ResourceLimits): number =>
  Math.min(wanted, hard[name] ?? wanted);
