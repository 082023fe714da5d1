import { expect, test } from 'vitest';
import { Replays } from '../../../server/slot/replay.ts';

/** Recordings of three pieces each, and what was told of them so far. */
function recordings(...names: string[]) {
  const replays = new Replays();
  const told: string[] = [];
  const onTold = new Map<string, () => void>();
  const all = names.map((name) =>
    replays.begin(async (rest) => {
      for (const piece of [1, 2, 3]) {
        told.push(`${name}${piece}`);
        onTold.get(`${name}${piece}`)?.();
        await rest();
      }
    }),
  );
  const done = Promise.all(all.map((replay) => replay.done));
  return { told, onTold, done, hurry: (name: string) => all[names.indexOf(name)]?.hurry() };
}

test('recordings are told one after the other, so that each is there as soon as can be', async () => {
  const { told, done } = recordings('a', 'b', 'c');
  expect(told).toEqual([]);
  await done;
  expect(told).toEqual(['a1', 'a2', 'a3', 'b1', 'b2', 'b3', 'c1', 'c2', 'c3']);
});

test('one that somebody waits for comes first, and one that is asked for later after it', async () => {
  const { told, onTold, done, hurry } = recordings('a', 'b', 'c', 'd');
  onTold.set('a2', () => hurry('d'));
  onTold.set('d1', () => hurry('b'));
  await done;
  expect(told.join(' ')).toBe('a1 a2 d1 d2 d3 b1 b2 b3 a3 c1 c2 c3');
});

test('calls are answered between two pieces', async () => {
  const { told, onTold, done } = recordings('a', 'b');
  const seen: number[] = [];
  for (const piece of ['a1', 'a2', 'b1']) onTold.set(piece, () => setImmediate(() => seen.push(told.length)));
  await done;
  expect(seen).toEqual([1, 2, 4]);
});

test('one that cannot be read holds up no other', async () => {
  const replays = new Replays();
  const failed = replays.begin(async () => {
    throw new Error('no such file');
  });
  const other = replays.begin(async (rest) => await rest());
  await expect(failed.done).rejects.toThrow('no such file');
  await other.done;
  await replays.begin(async () => undefined).done;
});
