import { execFileSync } from 'node:child_process';
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { emptyPlace, preparePlace, removeTree } from '../../../server/keeper/place.ts';

const asRoot = process.getuid?.() === 0;
let dataDir = '';

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'slotcast-place-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const prepare = (slot = 'slot_3', index = 3) => preparePlace({ dataDir, slot, index });

test('workspace and tmp belong to the slot alone, the spool to the gateway, and no other user of the host gets into it', async () => {
  const place = await prepare();
  const uid = asRoot ? 210_003 : process.getuid?.();
  expect(place.identity?.uid ?? uid).toBe(uid);
  for (const dir of [place.workspace, place.tmp]) {
    const { mode, uid: owner } = await stat(dir);
    expect([mode & 0o777, owner]).toEqual([0o700, uid]);
  }
  const spool = await stat(place.spool);
  expect([spool.mode & 0o777, spool.uid]).toEqual([asRoot ? 0o710 : 0o700, process.getuid?.()]);
  if (asRoot) expect(spool.gid).toBe(place.identity?.gid);
});

test('preparing again keeps what is there', async () => {
  const place = await prepare();
  await writeFile(join(place.workspace, 'kept'), 'x');
  await prepare();
  expect(await readdir(place.workspace)).toEqual(['kept']);
});

test.runIf(asRoot)('a parent that the slot cannot get through is named with what to do', async () => {
  const closed = join(dataDir, 'closed');
  await mkdir(closed, { mode: 0o700 });
  await chmod(dataDir, 0o711);
  const attempt = preparePlace({ dataDir: join(closed, 'data'), slot: 's', index: 0 });
  await expect(attempt).rejects.toThrow(`Run chmod o+x ${closed}`);
});

test('emptying deletes a hostile tree and never follows a link out of it', async () => {
  const outside = join(dataDir, 'outside');
  await mkdir(outside);
  await writeFile(join(outside, 'precious'), 'x');
  const place = await prepare();
  await symlink(outside, join(place.workspace, 'link'));
  await mkdir(join(place.workspace, 'shut', 'inner'), { recursive: true });
  await writeFile(join(place.workspace, 'shut', 'inner', 'file'), 'x');
  await chmod(join(place.workspace, 'shut', 'inner'), 0);
  await chmod(join(place.workspace, 'shut'), 0);
  await writeFile(join(place.tmp, 'old'), 'x');
  await emptyPlace(place);
  expect(await readdir(place.workspace)).toEqual([]);
  expect(await readdir(place.tmp)).toEqual([]);
  expect(await readdir(join(place.workspace, '..'))).toEqual(['drafts', 'spool', 'tmp', 'workspace']);
  expect(await readFile(join(outside, 'precious'), 'utf8')).toBe('x');
  expect((await stat(place.workspace)).mode & 0o777).toBe(0o700);
});

test('emptying deletes a tree of 2000 levels', async () => {
  const place = await prepare();
  execFileSync('perl', ['-e', 'for (1 .. 2000) { mkdir "d"; chdir "d" }'], { cwd: place.workspace });
  await emptyPlace(place);
  expect(await readdir(place.workspace)).toEqual([]);
});

test('an ordinary user deletes directories that a payload shut, however deep', async () => {
  const tree = join(dataDir, 'tree');
  await mkdir(tree);
  await chmod(dataDir, 0o777);
  if (asRoot) await chmod(tree, 0o777);
  const script =
    'mkdir $ARGV[0]; chdir $ARGV[0]; for (1 .. 1500) { mkdir "d"; chdir "d" } mkdir "shut"; open F, ">shut/f"; chmod 0, "shut"';
  const ids = asRoot ? { uid: 65_534, gid: 65_534 } : {};
  const made = join(tree, 'made');
  execFileSync('perl', ['-e', script, made], ids);
  if (!asRoot) await removeTree(made);
  else {
    // What removeTree does, seen with the eyes of a user who may not do everything.
    const find = ['-xdev', '-type', 'd', '!', '-perm', '-700', '-execdir', 'chmod', 'u+rwx', '{}', ';'];
    expect(() => execFileSync('rm', ['-rf', made], { ...ids, stdio: 'ignore' })).toThrow();
    execFileSync('find', [made, ...find], { ...ids, cwd: '/', env: { PATH: '/usr/bin:/bin' } });
    execFileSync('rm', ['-rf', '--one-file-system', '--', made], ids);
  }
  await expect(lstat(made)).rejects.toThrow('ENOENT');
});
