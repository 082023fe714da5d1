// Ends the keeper that a killed gateway has left in a data directory, and everything in its slots with it; and removes what one that was killed has left.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { statOf } from '../../server/keeper/foreground.ts';
import { Cgroups, openCgroups } from '../../server/keeper/sandbox/cgroup.ts';
import { until } from './gateway.ts';

/** Resolves when there is none. */
export async function endKeeper(dataDir: string): Promise<void> {
  const pid = keeperOf(dataDir);
  if (pid !== null) process.kill(pid, 'SIGKILL');
  await until('the keeper is gone', () => keeperOf(dataDir) === null);
  const groups = await openCgroups(dataDir);
  if (groups instanceof Cgroups) await groups.close();
}

/** Its process; null when none lives. */
export function keeperOf(dataDir: string): number | null {
  const [pid = ''] = contentOf(join(dataDir, 'keeper.pid')).split(' ');
  return pid !== '' && statOf(Number(pid))?.alive ? Number(pid) : null;
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
