// Any path over a real tree with links, special files and secrets beside it: no call ever reaches an inode outside of the workspace,
// and what can't be done is a fault of the catalogue.
import { execFileSync } from 'node:child_process';
import { linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { Fault } from '../../protocol/fault.ts';
import { parsePath } from '../../server/workspace/path.ts';
import type { Workspace } from '../../server/workspace/workspace.ts';
import { makeRoom, openDescriptors, type Room, SECRET } from '../unit/workspace/room.ts';
import { asked, timeout } from './fuzz.ts';
import { oddText } from './mutation.ts';

/** What the room has beside its workspace, and a name that no path here has: whoever shows it has looked outside. */
const OUTSIDE_NAME = 'secret.txt';
const BEACON = 'only-outside';

/** A tree in which nearly every name is a trap. Everything that hostile code can make below its workspace. */
function makeTraps({ root, outside, put, at }: Room): void {
  writeFileSync(join(outside, BEACON), '');
  put('a/b/file', 'inside');
  put('file', 'inside');
  mkdirSync(at('empty'));
  symlinkSync(outside, at('out'));
  symlinkSync('../../slot_1', at('a/up'));
  symlinkSync(join(outside, OUTSIDE_NAME), at('secret'));
  symlinkSync('/', at('root'));
  symlinkSync('/proc/self/root', at('a/proc'));
  symlinkSync('..', at('a/b/parent'));
  symlinkSync('b', at('a/inner'));
  symlinkSync('loop', at('loop'));
  symlinkSync('/dev/zero', at('zero'));
  symlinkSync('nowhere', at('dangling'));
  linkSync(at('file'), at('hard'));
  execFileSync('mkfifo', [at('fifo')]);
  expect(root.endsWith('slot_0')).toBe(true);
}

const name = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom(
      'a',
      'b',
      'file',
      'empty',
      'out',
      'up',
      'secret',
      'root',
      'proc',
      'parent',
      'inner',
      'loop',
    ),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      '..',
      '.',
      '',
      OUTSIDE_NAME,
      'slot_0',
      'slot_1',
      'workspace',
      'zero',
      'fifo',
      'dangling',
      'hard',
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('self', 'fd', '1', 'cwd', 'etc', 'passwd', 'tmp', '%2e%2e', '..\\..', '… ', '~', '-rf'),
  },
  { weight: 1, arbitrary: oddText },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 10 }) },
);
const path = fc
  .tuple(
    fc.constantFrom('', '', '', '/', '/workspace/', '//workspace//', './', '../', 'out/', 'a/up/'),
    fc.array(name, { maxLength: 5 }),
  )
  .map(([before, names]) => before + names.join('/'));

const call = fc.constantFrom(
  'read',
  'open',
  'write',
  'stream',
  'list',
  'deep',
  'stat',
  'remove',
  'mkdir',
  'move',
  'archive',
);
type Kind = typeof call extends fc.Arbitrary<infer K> ? K : never;

async function collect(source: AsyncIterable<Buffer | string>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** Does it, and gives all that came back. */
async function act(workspace: Workspace, kind: Kind, one: string, other: string): Promise<string> {
  switch (kind) {
    case 'read':
      return JSON.stringify(await workspace.read({ path: one, maxBytes: 1000 }));
    case 'open': {
      const { stream, ...facts } = await workspace.openRead(one);
      return JSON.stringify(facts) + String(await collect(stream));
    }
    case 'write':
      return JSON.stringify(await workspace.write({ path: one, data: 'written' }));
    case 'stream':
      return JSON.stringify(await workspace.writeStream(one, asStream('streamed'), { maxBytes: 100 }));
    case 'list':
      return JSON.stringify(await workspace.list({ path: one }));
    case 'deep':
      return JSON.stringify(await workspace.list({ path: one, recursive: true }));
    case 'stat':
      return JSON.stringify(await workspace.stat(one));
    case 'remove':
      return String(await workspace.remove({ path: one, recursive: other.length % 2 === 0 }));
    case 'mkdir':
      return String(await workspace.mkdir(one));
    case 'move':
      return String(await workspace.move({ from: one, to: other, overwrite: one.length % 2 === 0 }));
    case 'archive': {
      const { data, ...count } = await workspace.archive({ path: one, format: 'zip', maxBytes: 1_000_000 });
      return JSON.stringify(count) + data.toString('latin1');
    }
  }
}

async function* asStream(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

/** Everything beside the workspace, with what would tell that it was touched. */
function besides({ base, outside }: Room): string {
  const look = (file: string): string => {
    const { ino, dev, mode, uid, gid, mtimeMs, ctimeMs, nlink, size } = lstatSync(file);
    return [file, ino, dev, mode, uid, gid, mtimeMs, ctimeMs, nlink, size].join(' ');
  };
  const secret = join(outside, OUTSIDE_NAME);
  return [
    readdirSync(base).join(),
    readdirSync(outside).join(),
    look(outside),
    look(secret),
    readFileSync(secret, 'utf8'),
  ].join('\n');
}

/** Whether the names, followed as the kernel does without links, stay where everything is on the workspace's own device. */
function inodesOf(root: string): Set<string> {
  const found = new Set<string>();
  const walk = (directory: string): void => {
    for (const entry of readdirSync(directory, { encoding: 'buffer', withFileTypes: true })) {
      const file = Buffer.concat([Buffer.from(`${directory}/`), entry.name]);
      const { ino, dev } = lstatSync(file);
      found.add(`${dev}:${ino}`);
      if (entry.isDirectory()) walk(file.toString());
    }
  };
  walk(root);
  return found;
}

let descriptors = 0;
afterEach(() => {
  // Pins are closed in the background; far fewer than one for each call may be on their way.
  expect(openDescriptors()).toBeLessThan(descriptors + 50);
});

test('no path of any call reaches what is beside the workspace, and every refusal is a fault without a path of the host', {
  timeout,
}, async () => {
  descriptors = openDescriptors();
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(call, path, path), { minLength: 5, maxLength: 25 }), async (calls) => {
      const room = makeRoom();
      makeTraps(room);
      const before = besides(room);
      const secretInode = lstatSync(join(room.outside, OUTSIDE_NAME)).ino;
      for (const [kind, one, other] of calls) {
        try {
          const result = await act(room.workspace, kind, one, other);
          expect(result, `${kind} ${one}`).not.toContain(SECRET);
          expect(result, `${kind} ${one}`).not.toContain(BEACON);
        } catch (error) {
          if (!(error instanceof Fault)) throw error;
          expect(error.message).not.toMatch(/\/proc\/self\/fd\/\d|slotcast-workspace|slotcast-run/);
          expect(error.fault).not.toBe('INTERNAL');
        }
      }
      expect(besides(room)).toBe(before);
      for (const inode of inodesOf(room.root)) expect(inode.endsWith(`:${secretInode}`)).toBe(false);
      expect(readdirSync(room.base).sort()).toEqual(['slot_0', 'slot_1']);
      rmSync(room.base, { recursive: true });
    }),
    asked(40),
  );
});

test('any text is a path of sound names or a fault, and reading it again says the same', { timeout }, () => {
  fc.assert(
    fc.property(fc.oneof(path, fc.string({ unit: 'binary', maxLength: 300 })), (text) => {
      try {
        const { names } = parsePath(text);
        for (const piece of names) {
          expect(['', '.', '..']).not.toContain(piece);
          expect(piece).not.toMatch(/[/\0]/);
          expect(Buffer.byteLength(piece)).toBeLessThanOrEqual(255);
          expect(piece.isWellFormed()).toBe(true);
        }
        expect(parsePath(names.length === 0 ? '.' : names.join('/')).names).toEqual(names);
        expect(parsePath(`/workspace/${names.join('/')}`).names).toEqual(names);
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        expect(['PATH_OUTSIDE', 'INVALID_PARAMS']).toContain(error.fault);
      }
    }),
    asked(3000),
  );
});
