// The version of this gateway, as package.json says it.
import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** package.json lies one level up from the source, two from the built file. */
function readVersion(): string {
  for (const path of ['../package.json', '../../package.json']) {
    try {
      return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')))
        .version;
    } catch {
      // The other one, then.
    }
  }
  return 'unknown';
}

export const version: string = readVersion();
