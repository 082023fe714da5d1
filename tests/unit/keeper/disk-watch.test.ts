import { mkdir, mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { measureDisk } from '../../../server/keeper/disk-measure.ts';
import { type DiskLimits, DiskWatch } from '../../../server/keeper/disk-watch.ts';
import type { SlotPlace } from '../../../server/keeper/keeper.ts';

const MIB = 1024 ** 2;
let dataDir: string;
let place: SlotPlace;
const watches: DiskWatch[] = [];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'slotcast-disk-'));
  place = {
    slot: 'slot_0',
    workspace: join(dataDir, 'workspace'),
    tmp: join(dataDir, 'tmp'),
    spool: join(dataDir, 'spool'),
    drafts: join(dataDir, 'drafts'),
    identity: null,
  };
  for (const directory of [place.workspace, place.tmp]) await mkdir(directory);
});
afterEach(async () => {
  for (const watch of watches.splice(0)) watch.close();
  await rm(dataDir, { recursive: true, force: true });
});

function opened(limits: Partial<DiskLimits>, measure = measureDisk): DiskWatch {
  const watch = new DiskWatch(dataDir, { diskBytes: 0, files: 0, minFreeBytes: 0, ...limits }, measure);
  watches.push(watch);
  return watch;
}

async function anotherPlace(): Promise<SlotPlace> {
  const other = { ...place, slot: 'slot_1', workspace: join(dataDir, 'other'), tmp: join(dataDir, 'other-tmp') };
  for (const directory of [other.workspace, other.tmp]) await mkdir(directory);
  return other;
}

const fill = async (directory: string, name: string, bytes: number) =>
  await writeFile(join(directory, name), Buffer.alloc(bytes, 'x'));

test('what running commands write is noticed, and told in words', async () => {
  const watch = opened({ diskBytes: 100 * MIB });
  const why = new Promise<string>((resolve) => watch.watch(place, null, resolve));
  // The first look is at the empty slot.
  expect(await watch.left(place)).toBe(100 * MIB);
  await new Promise<void>((resolve) => setImmediate(resolve));
  for (let part = 0; part < 8; part++) await fill(part % 2 ? place.tmp : place.workspace, `f${part}`, 20 * MIB);
  expect(await why).toMatch(/^workspace and \/tmp hold 1[0-9.]+ MiB, and may hold 100 MiB$/);
  await expect(watch.left(place)).rejects.toMatchObject({ fault: 'NO_SPACE' });
});

test('what was refused is measured anew, so that removing files helps at once', async () => {
  const watch = opened({ diskBytes: MIB });
  watch.added(place, { bytes: 2 * MIB, files: 1 });
  // Nothing is there: the count of what was added was wrong, and the walk is right.
  expect(await watch.left(place)).toBeGreaterThan(MIB / 2);
  await fill(place.workspace, 'large', 2 * MIB);
  watch.added(place, { bytes: 2 * MIB, files: 1 });
  await expect(measuredAgain(() => watch.left(place), 'fails')).rejects.toMatchObject({ fault: 'NO_SPACE' });
  await rm(join(place.workspace, 'large'));
  expect(await measuredAgain(() => watch.left(place), 'works')).toBeGreaterThan(0);
});

/** Refusals within a quarter of a second share a walk. */
async function measuredAgain<T>(ask: () => Promise<T>, wanted: 'works' | 'fails'): Promise<T> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const asked = await ask().then(
      (value) => ({ works: true, value: Promise.resolve(value) }),
      (error: unknown) => ({ works: false, value: Promise.reject<T>(error) }),
    );
    asked.value.catch(() => undefined);
    if (asked.works === (wanted === 'works') || performance.now() > deadline) return await asked.value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('files are counted, whatever is in them', async () => {
  const watch = opened({ files: 10 });
  for (let name = 0; name < 12; name++) await fill(place.tmp, `f${name}`, 0);
  for (let call = 0; call < 11; call++) watch.added(place, { bytes: 0, files: 1 });
  await expect(watch.left(place)).rejects.toThrow('hold 12 files, and may hold 10');
});

test('a slot that was emptied has all of its room', async () => {
  const watch = opened({ diskBytes: MIB });
  watch.added(place, { bytes: 900 * 1024, files: 1 });
  expect(await watch.left(place)).toBeLessThan(MIB / 2);
  watch.emptied(place);
  expect(await watch.left(place)).toBe(MIB);
});

test('file calls write nothing where too little is free, and commands still start', async () => {
  const watch = opened({ minFreeBytes: Number.MAX_SAFE_INTEGER });
  await expect(watch.leftToWrite(place, 1)).rejects.toMatchObject({ fault: 'NO_SPACE' });
  expect(await watch.left(place)).toBe(Number.POSITIVE_INFINITY);
});

test('where too little is free the one that grew most is stopped, and who grew a little goes on', async () => {
  const { bavail, bsize } = await statfs(dataDir);
  // Above what is free now and after: too little from the first look on.
  const watch = opened({ minFreeBytes: bavail * bsize + 1024 ** 4 });
  const other = await anotherPlace();
  await fill(place.workspace, 'much', 150 * MIB);
  await fill(other.workspace, 'little', 20 * MIB);
  const stopped: string[] = [];
  const why = new Promise<string>((resolve) => {
    watch.watch(other, null, () => stopped.push('other'));
    watch.watch(place, null, resolve);
  });
  expect(await why).toBe("there is little space left on the host's disk");
  await new Promise<void>((resolve) => setImmediate(resolve));
  expect(stopped).toEqual([]);
});

/** As if the disk took for ever over the tree of slot_0. */
const stuck = (asked: SlotPlace) => (asked.slot === 'slot_0' ? new Promise<null>(() => undefined) : measureDisk(asked));

test('a walk that takes long leaves no other slot unseen', async () => {
  let walks = (): void => undefined;
  const walking = new Promise<void>((resolve) => {
    walks = resolve;
  });
  const watch = opened({ diskBytes: MIB }, (asked) => {
    if (asked.slot === 'slot_0') walks();
    return stuck(asked);
  });
  const other = await anotherPlace();
  watch.watch(place, null, () => undefined);
  await growUntil(place.workspace, walking);
  const why = new Promise<string>((resolve) => watch.watch(other, null, resolve));
  await growUntil(other.workspace, why);
  expect(await why).toContain('and may hold 1 MiB');
});

/** Writes until it is seen; at most 2 GB. */
async function growUntil(directory: string, seen: Promise<unknown>): Promise<void> {
  let over = false;
  void seen.then(() => {
    over = true;
  });
  for (let part = 0; !over && part < 100; part++) await fill(directory, `f${part}`, 20 * MIB);
}

test('where too little is free, what takes too long to be measured is stopped', async () => {
  const { bavail, bsize } = await statfs(dataDir);
  const watch = opened({ minFreeBytes: bavail * bsize + 1024 ** 4 }, stuck);
  const stopped: string[] = [];
  watch.watch(await anotherPlace(), null, () => stopped.push('other'));
  const why = new Promise<string>((resolve) => watch.watch(place, null, resolve));
  expect(await why).toBe("there is little space left on the host's disk");
  expect(stopped).toEqual([]);
});

test('what is written before the first look is not overlooked', async () => {
  const watch = opened({ diskBytes: 100 * MIB });
  await watch.left(place);
  // A fast disk takes this before anybody looks.
  for (let part = 0; part < 8; part++) await fill(place.workspace, `f${part}`, 20 * MIB);
  const why = new Promise<string>((resolve) => watch.watch(place, null, resolve));
  expect(await why).toContain('may hold 100 MiB');
});

test('hundreds of slots in which something waits are measured in turn, one a second', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  try {
    const walked: string[] = [];
    const watch = opened({ diskBytes: MIB }, async ({ slot }) => {
      walked.push(slot);
      return { bytes: 0, files: 0 };
    });
    const slots = Array.from({ length: 300 }, (_, index) => ({ ...place, slot: `slot_${index}` }));
    for (const slot of slots) watch.watch(slot, null, () => undefined);
    const pass = async (ms: number): Promise<void> => {
      for (const end = performance.now() + ms; performance.now() < end; ) {
        await vi.advanceTimersByTimeAsync(250);
        await statfs(dataDir);
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    };
    while (new Set(walked).size < slots.length) await pass(250);
    await pass(31_000);
    walked.length = 0;
    await pass(60_000);
    expect(walked.length).toBeGreaterThan(30);
    expect(walked.length).toBeLessThanOrEqual(61);
    expect(new Set(walked).size).toBe(walked.length);
  } finally {
    vi.useRealTimers();
  }
});
