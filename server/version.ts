// The version of this gateway, as package.json says it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ROOT } from './keeper/root.ts';

function readVersion(): string {
  try {
    const said: unknown = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    return z.object({ version: z.string() }).parse(said).version;
  } catch {
    return 'unknown';
  }
}

export const version: string = readVersion();
