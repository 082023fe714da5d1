// Where slotcast itself lies: the folder with its package.json, above the sources and above what is built of them, wherever in dist/ that stands.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = rootAbove(dirname(fileURLToPath(import.meta.url)));

function rootAbove(dir: string): string {
  const above = dirname(dir);
  return above === dir || existsSync(join(dir, 'package.json')) ? dir : rootAbove(above);
}
