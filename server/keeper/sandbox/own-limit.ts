// The memory that this process and all it starts may have, by the control group that somebody else put it into: a container's or a unit's. Only reads.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface GroupFiles {
  /** As /proc/self/cgroup. */
  readonly own: string;
  /** As /sys/fs/cgroup. */
  readonly root: string;
}

const HERE: GroupFiles = { own: '/proc/self/cgroup', root: '/sys/fs/cgroup' };

/** v1 says a number of whole pages near 2^63 where there is no limit. */
const NO_LIMIT = 2 ** 60;

/** In bytes, of the group or one above it; null = no limit. */
export function ownMemoryLimit({ own, root }: GroupFiles = HERE): number | null {
  const groups = textOf(own);
  const v1 = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m.exec(groups)?.[1] ?? '/';
  const v2 = /^0::(.*)$/m.exec(groups)?.[1] ?? '/';
  // A container sees its own group where the root would be, under whatever name the host has for it.
  const stat = textOf(join(root, 'memory', v1, 'memory.stat')) || textOf(join(root, 'memory', 'memory.stat'));
  const limits = [
    /^hierarchical_memory_limit (\d+)$/m.exec(stat)?.[1],
    ...withParents(v2).map((dir) => limitOf(root, dir)),
  ];
  const least = Math.min(...limits.filter((limit) => limit !== undefined).map(Number));
  return least < NO_LIMIT ? least : null;
}

const limitOf = (root: string, dir: string): string | undefined =>
  /^\d+/.exec(textOf(join(root, dir, 'memory.max')))?.[0];

const withParents = (dir: string): string[] => (dirname(dir) === dir ? [dir] : [dir, ...withParents(dirname(dir))]);

/** Empty where there is no such file. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
