import { spawnSync } from 'node:child_process';
import { chmod, link, mkdir, open, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { measureDisk, type Used } from '../../../server/keeper/disk-measure.ts';
import type { SlotPlace } from '../../../server/keeper/keeper.ts';
import { scratch } from './scratch.ts';

const MiB = 1024 ** 2;
let place: SlotPlace;

async function measure(): Promise<Used> {
  return (await measureDisk(place)) ?? expect.fail('it was not measured');
}

/** Random, so that no file system makes less of it. */
const write = (name: string, mib: number) =>
  spawnSync('dd', ['if=/dev/urandom', `of=${join(place.workspace, name)}`, 'bs=1M', `count=${mib}`], {
    stdio: 'ignore',
  });

beforeEach(async () => {
  const home = await scratch();
  const at = (name: string) => join(home, name);
  place = {
    slot: 'slot_0',
    workspace: at('workspace'),
    tmp: at('tmp'),
    spool: at('spool'),
    drafts: at('drafts'),
    identity: null,
  };
  await Promise.all([mkdir(place.workspace), mkdir(place.tmp)]);
});

test('workspace and /tmp count together, in blocks and in names', async () => {
  const empty = await measure();
  expect(empty.files).toBe(0);
  write('a', 3);
  await mkdir(join(place.tmp, 'd'));
  await writeFile(join(place.tmp, 'd', 'b\nc'), 'x'.repeat(MiB));
  const { bytes, files } = await measure();
  expect(files).toBe(3);
  expect(bytes - empty.bytes).toBeGreaterThanOrEqual(4 * MiB);
  expect(bytes - empty.bytes).toBeLessThan(5 * MiB);
});

test('a sparse file counts what is written of it, a file with many names its blocks once and each name', async () => {
  await writeFile(join(place.workspace, 'sparse'), '');
  await truncate(join(place.workspace, 'sparse'), 1024 ** 4);
  write('one', 4);
  for (let n = 0; n < 7; n++) await link(join(place.workspace, 'one'), join(place.workspace, `name-${n}`));
  const { bytes, files } = await measure();
  expect(files).toBe(9);
  expect(bytes).toBeGreaterThanOrEqual(4 * MiB);
  expect(bytes).toBeLessThan(6 * MiB);
});

test('links are not followed, whatever they lead to', async () => {
  await symlink('/usr', join(place.workspace, 'usr'));
  await symlink('.', join(place.tmp, 'loop'));
  expect((await measure()).files).toBe(2);
});

test('2000 levels are measured', async () => {
  const script = 'for (1..2000) { mkdir "d" or die; chdir "d" or die }';
  const deep = spawnSync('perl', ['-e', script], { cwd: place.workspace });
  expect(deep.status).toBe(0);
  expect((await measure()).files).toBe(2000);
  spawnSync('rm', ['-rf', place.workspace]);
});

test('a place that is not there cannot be measured', async () => {
  expect(await measureDisk({ ...place, workspace: '/nowhere', tmp: '/nowhere' })).toBeNull();
});

test('a directory that its owner has shut is looked into', async () => {
  await mkdir(join(place.workspace, 'shut'));
  write('shut/hidden', 4);
  await chmod(join(place.workspace, 'shut'), 0);
  const { bytes, files } = await measure();
  await chmod(join(place.workspace, 'shut'), 0o700);
  expect(files).toBe(2);
  expect(bytes).toBeGreaterThanOrEqual(4 * MiB);
});

test('a file of another process, removed but open, is none of the slot', async () => {
  const other = await open(join(place.workspace, '..', 'other'), 'w');
  await other.write('x'.repeat(4 * MiB));
  spawnSync('rm', [join(place.workspace, '..', 'other')]);
  expect((await measure()).bytes).toBeLessThan(MiB);
  await other.close();
});
