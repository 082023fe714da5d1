// Memory by what the kernel says each process adds: shared pages count by their share.
import { readFileSync } from 'node:fs';
import { treeOf } from './chaos/program.mjs';

/** MB of these processes; one that has just ended counts nothing. */
export function pssMb(pids) {
  const kb = pids.map((pid) => {
    try {
      return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
    } catch {
      return 0;
    }
  });
  return kb.reduce((sum, one) => sum + one, 0) / 1024;
}

/** The processes and all below them. */
export function withChildren(...roots) {
  return [...new Set(roots.flatMap((root) => [root, ...treeOf(root).map(({ pid }) => pid)]))];
}
