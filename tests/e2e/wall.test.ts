// What a wall of slots is told: screens as text and what happens in each slot, for those who may see it.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Client, Notice, Slot } from '../../client/index.ts';
import { startGateway, type TestGateway, until } from '../support/gateway.ts';

type Screen = Notice<'slots.screens'>['screens'][number];

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway('--slots', '8');
});
afterAll(async () => await gateway.close());

/** Every batch, as it came, and the newest screen of each slot. */
function screensOf(client: Client) {
  const batches: (readonly Screen[])[] = [];
  const newest = new Map<string, Screen>();
  client.on('slots.screens', ({ screens }) => {
    batches.push(screens);
    for (const screen of screens) newest.set(screen.slot, screen);
  });
  return { batches, newest, text: (slot: Slot) => newest.get(slot.name)?.lines.join('\n') ?? '' };
}

async function leased(label: string): Promise<Slot> {
  const slot = await (await gateway.client()).acquire({ label });
  await slot.terminal.run({ command: `clear; echo I am ${label}` });
  return slot;
}

test('all terminals come at first, then only those that changed, as they look', async () => {
  const [one, two] = [await leased('one'), await leased('two')];
  const client = await gateway.client();
  const seen = screensOf(client);
  const watch = await client.watchSlots({ screens: true });
  await until('both', () => seen.newest.size === 2);
  expect(seen.batches[0]?.map(({ slot }) => slot).sort()).toEqual([one.name, two.name].sort());
  seen.batches.length = 0;

  await two.terminal.write('vi -u NONE -N\r');
  await two.terminal.wait({ text: 'VIM', timeoutMs: 10_000 });
  await two.terminal.keys('i', 'written in vim', 'Escape');
  await until('vim', () => seen.text(two).includes('written in vim'));
  await until('the same screen', async () => {
    const { text, cursor } = await two.terminal.capture();
    const isSame = JSON.stringify(seen.newest.get(two.name)?.cursor) === JSON.stringify(cursor);
    return isSame && seen.text(two) === text.replace(/ +$/gm, '').trimEnd();
  });
  expect(new Set(seen.batches.flat().map(({ slot }) => slot))).toEqual(new Set([two.name]));
  expect(seen.text(one)).toContain('I am one');

  await two.release();
  await until('its end', () => seen.newest.get(two.name)?.cast === null);
  expect(seen.newest.get(two.name)?.lines).toEqual([]);
  await watch.close();
  seen.batches.length = 0;
  // A list that is asked for afterwards comes after whatever would have been sent before.
  await one.terminal.run({ command: 'echo unseen' });
  await client.slots();
  expect(seen.batches).toEqual([]);
  await one.release();
});

test('a token of one slot, and one of a recording, get no screen of another', async () => {
  const [mine, other] = [await leased('mine'), await leased('other')];
  const client = await gateway.client(await gateway.mint({ role: 'viewer', slot: mine.name, ttlMs: 60_000 }));
  const ofCast = await gateway.client(await gateway.mint({ role: 'viewer', cast: mine.cast, ttlMs: 60_000 }));
  const seen = screensOf(client);
  const seenOfCast = screensOf(ofCast);
  await client.watchSlots({ screens: true });
  await ofCast.watchSlots({ screens: true });
  await other.terminal.run({ command: 'echo secret' });
  await mine.terminal.run({ command: 'echo later' });
  await until('mine', () => seen.text(mine).includes('later'));
  expect([...seen.newest.keys()]).toEqual([mine.name]);
  expect(seenOfCast.batches).toEqual([]);
  await Promise.all([mine.release(), other.release()]);
});

test('a list tells what runs since when, how many ran, how the last one ended and when something happened', async () => {
  const slot = await leased('busy');
  const before = Date.now();
  await slot.exec.run({ command: 'exit 3 # first' });
  const long = await slot.exec.start({ command: 'sleep 600 # second', timeoutMs: 0 });
  const running = await slot.info();
  expect(running).toMatchObject({
    running: 'sleep 600 # second',
    commands: 3,
    last: { process: 'p1', command: 'exit 3 # first', outcome: 'exited', exitCode: 3, signal: null },
  });
  expect(running.runningSince).toBeGreaterThanOrEqual(before);
  expect(running.activeAt).toBeGreaterThanOrEqual(before);
  await long.signal('KILL');
  await long.wait();
  expect(await slot.info()).toMatchObject({
    running: null,
    runningSince: null,
    last: { process: 'p2', outcome: 'signaled', exitCode: null, signal: 'KILL' },
  });
  await slot.release();
  const free = (await (await gateway.client()).slots()).find(({ slot: name }) => name === slot.name);
  expect(free).toMatchObject({ commands: 0, last: null, activeAt: null, runningSince: null });
});

test('output alone is told of too, so that a list can be sorted by it', async () => {
  const slot = await leased('prints');
  const client = await gateway.client();
  const told: number[] = [];
  client.on('slots.changed', ({ slots }) => {
    for (const { slot: name, activeAt } of slots) if (name === slot.name && activeAt !== null) told.push(activeAt);
  });
  await client.watchSlots();
  await slot.terminal.write('while sleep 0.1; do echo on; done\r');
  await until('two words of it', () => new Set(told).size >= 2, 15_000);
  await slot.release();
});
