// One gateway for a data directory: a claim that names the process which holds it. A claim of a process that is dead counts for nothing.
import { lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { holderOf, takePidFile } from './keeper/pid-file.ts';

/** What a gateway makes in its data directory, and believes or changes when it is there already. */
const OWN_NAMES = ['secret.key', 'token', 'revoked.json', 'keeper.pid', 'keeper.sock', 'keeper.log', 'casts', 'slots'];

/** Somebody else works in this data directory, or has. */
export class ClaimError extends Error {}

/** Claims the directory, made if needed, for this process; throws ClaimError when another living gateway has it. */
export function claimDataDir(dataDir: string): { close(): void } {
  // Traversable, so that slots of another user id reach their own places; the secrets in it are 0600 each.
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
  refusePlanted(dataDir);
  const claim = takePidFile(pidFile(dataDir));
  if (claim === null) {
    const text = `another gateway uses ${dataDir} (process ${gatewayOf(dataDir) ?? 'unknown'}). Stop it, choose another --data-dir, or take its place by --replace.`;
    throw new ClaimError(text);
  }
  return claim;
}

/** The gateway that has the directory; null when there is none. */
export const gatewayOf = (dataDir: string): number | null => holderOf(pidFile(dataDir));

const pidFile = (dataDir: string): string => join(dataDir, 'gateway.pid');

/** Another user of the host who could write here before us may have left a key that he knows, or a link to what is to be changed. */
function refusePlanted(dataDir: string): void {
  const names = [...OWN_NAMES, ...namesIn(join(dataDir, 'slots')).map((slot) => join('slots', slot))];
  for (const name of names) {
    const found = lstatSync(join(dataDir, name), { throwIfNoEntry: false });
    if (found !== undefined && found.uid !== 0 && found.uid !== process.getuid?.()) throw planted(dataDir, name);
  }
  for (const slot of names.slice(OWN_NAMES.length)) {
    for (const name of ['workspace', 'tmp', 'spool', 'drafts'].map((part) => join(slot, part))) {
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
