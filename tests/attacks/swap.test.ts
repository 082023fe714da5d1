// The race for a path: a program of the slot swaps directories and files with links that lead outside, as fast as it can, while everything
// that can be done to files is done to them.
import { gunzipSync } from 'node:zlib';
import { describe, expect } from 'vitest';
import { Fault, type Slot } from '../../client/index.ts';
import { attack } from './attack.ts';
import { type Target, targets } from './gateway.ts';
import { http, makeOutside, SECRET, workspaceOf } from './outside.ts';

/** Some thousand calls among some hundred thousand swaps; one that resolves a path and then opens it loses within the first 50 ms. */
const RACE_MS = 4000;
/** On a machine that is busy with something else the race goes on until both sides had their turns. */
const MOST_MS = 25_000;
const RENAMEAT2 = process.arch === 'arm64' ? 276 : 316;
const MINE = 'mine';

/** Exchanges `d` with `l` and `f` with `g` in one step each, and makes anew what the file calls took away. Prints the number of swaps at the end. */
const swapper = (outside: string, other: string): string => `
use strict; my $swaps = 0; my @targets = ("${outside}", "${other}");
sub put { open(my $f, ">", $_[0]) or return; print $f "${MINE}" }
sub make {
  my $to = $targets[$swaps % 2];
  unless (-d "d" || -d "l") { mkdir "d"; mkdir "d/sub" }
  for my $d ("d", "l") { next if -l $d; mkdir "$d/sub"; put("$d/secret.txt"); put("$d/sub/deep.txt") }
  symlink($to, "d"); symlink($to, "l");
  put("f") unless lstat "f"; symlink("$to/secret.txt", "g") unless lstat "g";
  symlink($to, "tree/$_") for 1..5;
}
mkdir "race"; chdir "race" or die; $| = 1; make(); print "ready\\n";
$SIG{TERM} = sub { print "swaps $swaps\\n"; exit 0 };
my ($d, $l, $f, $g, $x, $y) = ("d", "l", "f", "g");
while (1) {
  for (1..40) {
    syscall(${RENAMEAT2}, -100, $d, -100, $l, 2) == 0 and $swaps++;
    syscall(${RENAMEAT2}, -100, $f, -100, $g, 2) == 0 and $swaps++;
    for my $n (1..3) { ($x, $y) = ("tree/b$n", "tree/$n"); syscall(${RENAMEAT2}, -100, $x, -100, $y, 2) }
  }
  make();
}`;

type Act = () => Promise<unknown>;

/** What an agent does to files, by both ways. Each gives what it read, if anything. */
function acts(gateway: Target, { name, file, artifact }: Slot): Act[] {
  const url = (path: string): string => `/slots/${name}/files/race/${path}`;
  const get = async (path: string): Promise<unknown> => contentOf(await http(gateway, path));
  const put = async (path: string): Promise<unknown> =>
    contentOf(await http(gateway, path, { method: 'PUT', body: MINE }));
  let n = 0;
  return [
    () => file.read({ path: 'race/d/secret.txt' }),
    () => file.read({ path: 'race/f' }),
    () => file.read({ path: 'race/d/sub/deep.txt' }),
    () => file.write({ path: 'race/d/secret.txt', data: MINE }),
    () => file.write({ path: `race/d/new${n++ % 5}/x`, data: MINE }),
    () => file.write({ path: 'race/f', data: MINE }),
    () => file.stat('race/d/secret.txt'),
    () => file.list({ path: 'race/d' }),
    () => file.list({ path: '.', recursive: true }),
    () => file.mkdir(`race/d/made${n++ % 5}/deep`),
    () => file.move({ from: 'race/d/secret.txt', to: 'race/taken', overwrite: true }),
    () => file.move({ from: 'race/taken', to: 'race/l/secret.txt', overwrite: true }),
    () => file.move({ from: 'race/f', to: 'race/d/f' }),
    () => file.remove({ path: 'race/d/sub/deep.txt' }),
    () => file.remove({ path: 'race/d/sub', recursive: true }),
    () => file.remove({ path: 'race/d', recursive: true }),
    async () => {
      for (const m of [1, 2, 3]) await file.write({ path: `race/tree/b${m}/secret.txt`, data: MINE });
      await file.remove({ path: 'race/tree', recursive: true });
    },
    async () => unpacked(Buffer.from((await artifact.archive({ path: 'race' })).data, 'base64')),
    async () => unpacked(Buffer.from((await artifact.archive({ path: 'race/d' })).data, 'base64')),
    async () => unpacked((await get(`/slots/${name}/archive?path=race/d`)) as Buffer),
    () => get(url('f')),
    () => get(url('d/secret.txt')),
    () => put(url('d/secret.txt')),
    () => put(url('d/by/http')),
  ];
}

async function contentOf(reply: Response): Promise<Buffer> {
  const body = await reply.arrayBuffer().then(Buffer.from, () => {
    // A file that was cut while it was sent ends the connection.
    throw new Fault('CANCELLED');
  });
  if (reply.ok) return body;
  const { error } = JSON.parse(body.toString()) as { error: { data: { name: 'PATH_OUTSIDE' }; message: string } };
  throw new Fault(error.data.name, error.message);
}

const unpacked = (data: Buffer): string => gunzipSync(data).toString('latin1');

describe('B', () => {
  attack(
    'B06',
    async (as) => {
      const gateway = await of(as);
      const [slot, neighbour] = [await gateway.slot(), await gateway.slot()];
      await neighbour.file.write({ path: 'secret.txt', data: SECRET });
      await neighbour.file.write({ path: 'sub/deep.txt', data: SECRET });
      const outside = makeOutside(gateway);
      const code = swapper(outside.dir, workspaceOf(gateway, neighbour.name));
      await slot.file.write({ path: 'swap.pl', data: code });
      const swapping = await slot.exec.start({ command: 'perl swap.pl' });
      const output = swapping[Symbol.asyncIterator]();
      expect((await output.next()).value).toMatchObject({ data: 'ready\n' });
      const { done, refused } = await race(acts(gateway, slot));
      await swapping.signal('SIGTERM');
      const printed = (await output.next()).value?.data ?? '';
      expect(Number(/swaps (\d+)/.exec(printed)?.[1])).toBeGreaterThan(1000);
      // Both sides had their turns: calls that went through, and calls that met a link.
      expect(Math.min(done, refused)).toBeGreaterThan(100);
      outside.untouched();
      const there = await neighbour.file.list({ recursive: true });
      expect(there.entries.map(({ path }) => path)).toEqual(['secret.txt', 'sub', 'sub/deep.txt']);
      for (const path of ['secret.txt', 'sub/deep.txt']) expect(await neighbour.file.readText(path)).toBe(SECRET);
      // Nothing of the gateway's own is left over: neither of writes nor of removals.
      const hidden = await slot.exec.run({ command: 'find . -name "*.tmp" -o -name "*.gone"' });
      expect(hidden.stdout).toBe('');
    },
    60_000,
  );
});

const of = targets();

/** All of them at once, again and again. No reply may have the secret, nor tell the size that it has. */
async function race(all: readonly Act[]): Promise<{ done: number; refused: number }> {
  const tally = { done: 0, refused: 0 };
  const started = performance.now();
  const attempt = async (act: Act): Promise<void> => {
    try {
      const found = await act();
      const text = Buffer.isBuffer(found) ? found.toString('latin1') : (JSON.stringify(found) ?? '');
      expect(text.includes(SECRET)).toBe(false);
      expect(text).not.toMatch(
        new RegExp(`"path":"[^"]*(secret|deep)[.]txt","kind":"file","size":${SECRET.length}\\b`),
      );
      tally.done += 1;
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      expect(error.fault).not.toBe('INTERNAL');
      tally.refused += 1;
    }
  };
  const isOver = (): boolean => {
    const ms = performance.now() - started;
    return ms > MOST_MS || (ms > RACE_MS && Math.min(tally.done, tally.refused) > 100);
  };
  await Promise.all(
    all.map(async (act) => {
      while (!isOver()) await attempt(act);
    }),
  );
  return tally;
}
