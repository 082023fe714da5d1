// Where a gateway on this host keeps its data, and so its admin token, when nobody says otherwise. The same rule as the gateway's own.
import { homedir } from 'node:os';
import { join } from 'node:path';

export type Environment = Readonly<Record<string, string | undefined>>;

export function dataDirOf(env: Environment, isRoot: boolean): string {
  if (env['SLOTCAST_DATA_DIR']) return env['SLOTCAST_DATA_DIR'];
  if (env['NOMAD_ALLOC_DIR']) return join(env['NOMAD_ALLOC_DIR'], 'data');
  if (isRoot) return '/var/lib/slotcast';
  return join(env['XDG_DATA_HOME'] || join(homedir(), '.local', 'share'), 'slotcast');
}

export const isRoot = (): boolean => process.getuid?.() === 0;
