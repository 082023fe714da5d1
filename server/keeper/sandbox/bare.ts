// What --sandbox none makes of a sandbox's paths and environment: the host's, under which the same payload runs without walls.
import type { SlotPlace } from '../keeper.ts';
import { BASE_ENV, SHOWN } from './policy.ts';

/** Where bwrap and prlimit are looked up when the gateway itself was started without a PATH. */
const FALLBACK_PATH = '/usr/local/bin:/usr/bin:/bin';

/** The payload's own comes with its order. Without a locale Perl starts twice as fast. */
export const RUNNER_ENV = { PATH: FALLBACK_PATH };

export function launchPath(): string {
  return process.env['PATH'] || FALLBACK_PATH;
}

/** A sandbox path as it is on the host, for --sandbox none. */
export function barePath(place: SlotPlace, path: string): string {
  for (const name of ['workspace', 'spool', 'tmp'] as const) {
    const shown = SHOWN[name];
    if (path === shown || path.startsWith(`${shown}/`)) return place[name] + path.slice(shown.length);
  }
  return path;
}

/** Who runs as themselves keep their PATH; a slot's own user could not even read parts of root's. */
export function bareEnv(place: SlotPlace): Record<string, string> {
  const path = place.identity === null ? { PATH: launchPath() } : {};
  return { ...BASE_ENV, ...path, HOME: place.workspace, TMPDIR: place.tmp };
}
