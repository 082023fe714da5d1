// What a keeper that was killed has left. Everything in a sandbox dies with it but one thing: between its start and its first word the first process of
// bwrap waits for bwrap, and when that is killed just then it waits for ever.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { tryKill } from '../foreground.ts';

/** In the environment of what a keeper starts, up to the sandbox's walls; no payload sees it. */
const MARK = 'SLOTCAST_KEEPER';
/** A killed process is gone in a moment, unless the host is very busy. */
const GONE_MS = 5_000;
const LOOK_MS = 5;

/** From now on everything that this process starts is marked as of this data directory. */
export function markChildren(dataDir: string): void {
  process.env[MARK] = markOf(dataDir);
}

/** The environment of what starts a sandbox. */
export function launchEnv(path: string): Record<string, string> {
  const mark = process.env[MARK];
  return mark === undefined ? { PATH: path } : { PATH: path, [MARK]: mark };
}

/** Ends what is marked as of the data directory, which nobody else may have. To be called before anything is started there. */
export async function endOrphans(dataDir: string): Promise<void> {
  const mark = `${MARK}=${markOf(dataDir)}`;
  const left = (): number[] =>
    readdirSync('/proc')
      .map(Number)
      .filter((pid) => pid > 1 && pid !== process.pid && environmentOf(pid).includes(mark));
  for (const endMs = performance.now() + GONE_MS; performance.now() < endMs; await delay(LOOK_MS)) {
    const pids = left();
    if (pids.length === 0) return;
    for (const pid of pids) tryKill(pid, 'SIGKILL');
  }
}

/** Nobody guesses it, and it tells nothing. */
const markOf = (dataDir: string): string => createHash('sha256').update(`keeper of ${dataDir}`).digest('hex');

/** Empty for one that is gone, is dead, or is not ours to look at. */
function environmentOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
  } catch {
    return [];
  }
}
