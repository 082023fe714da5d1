// One gateway for a data directory: a claim that names the process which holds it. A claim of a process that is dead counts for nothing.
import { linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a gateway makes in its data directory, and believes or changes when it is there already. */
const OWN_NAMES = ['secret.key', 'token', 'revoked.json', 'casts', 'slots'];

/** Somebody else works in this data directory, or has. */
export class ClaimError extends Error {}

/** Claims the directory, made if needed, for this process; throws ClaimError when another living gateway has it. */
export function claimDataDir(dataDir: string): { close(): void } {
  // Traversable, so that slots of another user id reach their own places; the secrets in it are 0600 each.
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
  refusePlanted(dataDir);
  const claim = join(dataDir, 'gateway.pid');
  const draft = `${claim}.${process.pid}`;
  const own = `${process.pid} ${startTime(process.pid)}\n`;
  rmSync(draft, { force: true });
  writeFileSync(draft, own, { mode: 0o600, flag: 'wx' });
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

/** Another user of the host who could write here before us may have left a key that he knows, or a link to what is to be changed. */
function refusePlanted(dataDir: string): void {
  const names = [...OWN_NAMES, ...namesIn(join(dataDir, 'slots')).map((slot) => join('slots', slot))];
  for (const name of names) {
    const found = lstatSync(join(dataDir, name), { throwIfNoEntry: false });
    if (found !== undefined && found.uid !== 0 && found.uid !== process.getuid?.()) throw planted(dataDir, name);
  }
  for (const slot of names.slice(OWN_NAMES.length)) {
    for (const name of ['workspace', 'tmp', 'spool'].map((part) => join(slot, part))) {
      if (lstatSync(join(dataDir, name), { throwIfNoEntry: false })?.isSymbolicLink()) throw planted(dataDir, name);
    }
  }
}

const planted = (dataDir: string, name: string): ClaimError =>
  new ClaimError(
    `${name} in ${dataDir} was made by another user, or is a link. Remove it if nobody needs it, or choose another --data-dir.`,
  );

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
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
