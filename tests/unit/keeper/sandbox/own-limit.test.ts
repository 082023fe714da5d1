import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { ownMemoryLimit } from '../../../../server/keeper/sandbox/own-limit.ts';

const UNLIMITED = '9223372036854771712';
const v1 = (bytes: string): string => `cache 4096\nhierarchical_memory_limit ${bytes}\nrss 0\n`;

test.each<[string, string, Record<string, string>, number | null]>([
  ['v2, in a container', '0::/\n', { 'memory.max': '1048576\n' }, 1048576],
  ['v2, a limit above', '0::/a/b\n', { 'a/b/memory.max': 'max\n', 'a/memory.max': '4096\n' }, 4096],
  ['v2, the least counts', '0::/a/b\n', { 'a/b/memory.max': '8192\n', 'a/memory.max': '4096\n' }, 4096],
  ['v2, none', '0::/a\n', { 'a/memory.max': 'max\n' }, null],
  ['v1', '5:cpu,memory:/x\n', { 'memory/x/memory.stat': v1('4096') }, 4096],
  ['v1, in a container', '5:memory:/docker/1\n', { 'memory/memory.stat': v1('8192') }, 8192],
  ['v1, none', '5:memory:/x\n', { 'memory/x/memory.stat': v1(UNLIMITED) }, null],
  ['no control groups at all', '', {}, null],
])('the memory of everything together: %s', (_how, groups, files, bytes) => {
  const root = mkdtempSync(join(tmpdir(), 'slotcast-groups-'));
  const own = join(root, 'own');
  for (const [name, text] of Object.entries({ ...files, own: groups })) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  expect(ownMemoryLimit({ own, root })).toBe(bytes);
  rmSync(root, { recursive: true });
});
