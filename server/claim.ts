// One gateway for a data directory: a claim that names the process which holds it. A claim of a process that is dead counts for nothing.
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Somebody else works in this data directory. */
export class ClaimError extends Error {}

/** Claims the directory, made if needed, for this process; throws ClaimError when another living gateway has it. */
export function claimDataDir(dataDir: string): { close(): void } {
  // Traversable, so that slots of another user id reach their own places; the secrets in it are 0600 each.
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
  const claim = join(dataDir, 'gateway.pid');
  const draft = `${claim}.${process.pid}`;
  const own = `${process.pid} ${startTime(process.pid)}\n`;
  writeFileSync(draft, own, { mode: 0o600 });
  try {
    take(claim, draft, dataDir);
  } finally {
    rmSync(draft, { force: true });
  }
  return {
    close: () => {
      if (contentOf(claim) === own) rmSync(claim, { force: true });
    },
  };
}

function take(claim: string, draft: string, dataDir: string): void {
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      linkSync(draft, claim);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const [pid, started] = (contentOf(claim) ?? '').trim().split(' ');
    if (pid !== undefined && started !== undefined && startTime(Number(pid)) === started) break;
    rmSync(claim, { force: true });
  }
  throw new ClaimError(`another gateway uses ${dataDir}. Stop it, or choose another --data-dir.`);
}

function contentOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

/** When the process started, in ticks since boot: a number that a later process with the same pid does not have. null when there is none. */
function startTime(pid: number): string | null {
  const stat = contentOf(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The name, in parentheses, may hold anything; field 22 is the twentieth after it.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}
