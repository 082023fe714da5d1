// A disk without room for what is written: nothing is torn, nothing is left, the caller is told, and there is nothing to repair afterwards.
import { chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, type TestContext, test } from 'vitest';
import { Workspace } from '../../../server/workspace/workspace.ts';
import { smallDisk } from '../../support/small-disk.ts';
import { owner } from './room.ts';

const OLD = 'the old content';
const LARGE = 'x'.repeat(3 * 1024 * 1024);

function fullRoom(context: TestContext, inodes?: number) {
  const disk = smallDisk(context, 2, inodes);
  const root = join(disk.path, 'slot_0');
  mkdirSync(root);
  if (owner) chownSync(root, owner.uid, owner.gid);
  const workspace = new Workspace({ root, owner });
  const names = (): string[] => readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  return { disk, root, workspace, names, read: (path: string) => readFileSync(join(root, path), 'utf8') };
}

async function* pieces(text: string): AsyncGenerator<Buffer> {
  for (let at = 0; at < text.length; at += 65_536) yield Buffer.from(text.slice(at, at + 65_536));
}

test('a write that does not fit leaves the old content, no draft and no directory, whatever part of it did fit', async (context) => {
  const { disk, workspace, names, read } = fullRoom(context);
  await workspace.write({ path: 'old', data: OLD });
  const attempts = {
    'the disk fills up in the middle': () => {},
    'not one byte fits': () => disk.fill(),
  };
  for (const [when, prepare] of Object.entries(attempts)) {
    prepare();
    const writes = [
      workspace.write({ path: 'old', data: LARGE }),
      workspace.write({ path: 'new', data: LARGE }),
      workspace.write({ path: 'a/b/new', data: LARGE }),
      workspace.writeStream('old', pieces(LARGE), { maxBytes: 2 ** 30 }),
      workspace.writeStream('c/d/new', pieces(LARGE), { maxBytes: 2 ** 30 }),
    ];
    const refused = { status: 'rejected', reason: expect.objectContaining({ fault: 'NO_SPACE' }) };
    expect(await Promise.allSettled(writes), when).toEqual(writes.map(() => refused));
    expect(names(), when).toEqual(['old']);
    expect(read('old'), when).toBe(OLD);
  }
  disk.free();
  await workspace.write({ path: 'a/b/old', data: OLD });
  await workspace.write({ path: 'old', data: 'new' });
  expect([read('a/b/old'), read('old')]).toEqual([OLD, 'new']);
});

test('a fault for a full disk names the file as the caller did, and nothing of the host', async (context) => {
  const { disk, root, workspace } = fullRoom(context);
  disk.fill();
  const fault = await workspace.write({ path: 'some/file', data: LARGE }).catch((error: unknown) => error);
  expect(fault).toMatchObject({ fault: 'NO_SPACE', message: expect.stringContaining('some/file') });
  expect((fault as Error).message).not.toContain(root);
});

test('without a free inode nothing is written or made, and what is there stays', async (context) => {
  const { root, workspace, names, read } = fullRoom(context, 16);
  await workspace.write({ path: 'old', data: OLD });
  const others: string[] = [];
  const useUp = (): void => {
    for (;;) {
      const name = `other-${others.length}`;
      writeFileSync(join(root, name), '');
      others.push(name);
    }
  };
  expect(useUp).toThrow('ENOSPC');
  await expect(workspace.write({ path: 'old', data: 'new' })).rejects.toMatchObject({ fault: 'NO_SPACE' });
  await expect(workspace.write({ path: 'new', data: '' })).rejects.toMatchObject({ fault: 'NO_SPACE' });
  await expect(workspace.mkdir('a/b')).rejects.toMatchObject({ fault: 'NO_SPACE' });
  expect(names()).toEqual(['old', ...others].sort());
  expect(read('old')).toBe(OLD);
});
