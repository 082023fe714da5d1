import { afterEach, beforeEach, expect, test } from 'vitest';
import type { WatchEvent } from '../../../client/index.ts';
import type { Notice } from '../../../protocol/contract.ts';
import type { Frame } from '../../../protocol/frame.ts';
import { WireServer } from './wire-server.ts';

let server: WireServer;
beforeEach(async () => {
  server = await WireServer.open();
});
afterEach(() => server.close());

const STARTED = { watch: 'w1', slot: 'slot_0', cast: 'cast_1', seq: 4, time: 1, cols: 80, rows: 24, screen: 'old' };
const frames = (seq: number, ...texts: string[]): Notice<'watch.frames'> => ({
  watch: 'w1',
  seq,
  frames: texts.map((text): Frame => [1, 'o', text]),
});

/** Events as short words. */
async function* told(events: AsyncIterable<WatchEvent>) {
  for await (const event of events) {
    if (event.kind === 'frames') yield `${event.seq}:${event.frames.map(([, , data]) => data).join('')}`;
    else if (event.kind === 'screen') yield `screen ${event.screen}`;
    else if (event.kind === 'resync') yield `resync ${event.screen} ${event.gap.from}-${event.gap.to}`;
    else yield `end ${event.reason}`;
  }
}

test('the screen comes first, then the frames, then the end', async () => {
  server.answer('watch.start', (_params, { id, peer }) => {
    // In one turn: what follows the reply must find the watch.
    peer.socket.send(JSON.stringify({ jsonrpc: '2.0', id, result: STARTED }));
    peer.notify('watch.frames', frames(5, 'a', 'b'));
    peer.notify('watch.end', { watch: 'w1', reason: 'released' });
    return new Promise(() => {});
  });
  const watch = await (await server.client()).watch({ slot: 'slot_0' });
  const events: string[] = [];
  for await (const event of told(watch)) events.push(event);
  expect(events).toEqual(['screen old', '5:ab', 'end released']);
});

test('after a lost connection it goes on from the last frame, without one twice', async () => {
  server.answer('watch.start', ({ since }, { id, peer }) => {
    if (since === undefined) return STARTED;
    const result = { ...STARTED, watch: 'w2', seq: since, screen: '' };
    peer.socket.send(JSON.stringify({ jsonrpc: '2.0', id, result }));
    peer.notify('watch.frames', { ...frames(5, 'a', 'b'), watch: 'w2' });
    return new Promise(() => {});
  });
  const client = await server.client();
  const events = told(await client.watch({ slot: 'slot_0' }));
  server.peer.notify('watch.frames', frames(5, 'a'));
  expect([(await events.next()).value, (await events.next()).value]).toEqual(['screen old', '5:a']);
  server.peer.socket.terminate();
  expect((await events.next()).value).toBe('6:b');
  expect(server.seen('watch.start')[1]?.params).toEqual({ slot: 'slot_0', since: 5, cast: 'cast_1' });
});

test('frames that are gone after a lost connection are a resync with their numbers', async () => {
  server.answer('watch.start', ({ since }) =>
    since === undefined ? STARTED : { ...STARTED, watch: 'w2', seq: 9, screen: 'new', gap: { from: 5, to: 9 } },
  );
  const events = told(await (await server.client()).watch({ slot: 'slot_0' }));
  expect((await events.next()).value).toBe('screen old');
  server.peer.socket.terminate();
  expect((await events.next()).value).toBe('resync new 5-9');
});

test('a new lease in the slot is a fresh screen, not a resync', async () => {
  server.answer('watch.start', ({ since }) =>
    since === undefined ? STARTED : { ...STARTED, watch: 'w2', cast: 'cast_2', seq: 1, screen: 'other' },
  );
  const watch = await (await server.client()).watch({ slot: 'slot_0' });
  const events = told(watch);
  await events.next();
  server.peer.socket.terminate();
  expect((await events.next()).value).toBe('screen other');
  expect([watch.cast, watch.seq]).toEqual(['cast_2', 1]);
});

test('a reader who is too slow holds no more than the limit and gets a fresh screen', async () => {
  let starts = 0;
  server.answer('watch.start', () => {
    starts++;
    return starts === 1 ? STARTED : { ...STARTED, watch: 'w2', seq: 40, screen: 'new' };
  });
  server.answer('watch.stop', () => ({}));
  const client = await server.client();
  const watch = await client.watch({ slot: 'slot_0' });
  const events = told(watch);
  expect((await events.next()).value).toBe('screen old');
  const flood = 'x'.repeat(600_000);
  for (let seq = 5; seq < 15; seq++) server.peer.notify('watch.frames', frames(seq, flood));
  await server.until('the stop', () => server.seen('watch.stop').length === 1);
  expect(starts).toBe(1);
  expect((await events.next()).value).toBe('resync new 5-40');
  server.peer.notify('watch.frames', { ...frames(41, 'y'), watch: 'w2' });
  expect((await events.next()).value).toBe('41:y');
});

test('leaving the loop stops the watch', async () => {
  server.answer('watch.start', () => STARTED);
  server.answer('watch.stop', () => ({}));
  const watch = await (await server.client()).watch({ slot: 'slot_0' });
  for await (const _event of watch) break;
  await server.until('the stop', () => server.seen('watch.stop').length === 1);
});

test('the list of slots is the newest one, however slowly it is read', async () => {
  const slot = (name: string, state: 'free' | 'leased') => ({
    slot: name,
    state,
    label: null,
    since: null,
    cast: null,
    viewers: 0,
    processes: 0,
    running: null,
    terminal: null,
    network: 'none' as const,
    connected: true,
    takenOver: false,
    runningSince: null,
    commands: 0,
    last: null,
    activeAt: null,
  });
  server.answer('watch.slots', () => ({ slots: [slot('slot_0', 'free'), slot('slot_1', 'free')] }));
  const client = await server.client({ validate: true });
  const watch = await client.watchSlots();
  let heard = 0;
  client.on('slots.changed', () => heard++);
  server.peer.notify('slots.changed', { slots: [slot('slot_1', 'leased')] });
  server.peer.notify('slots.changed', { slots: [slot('slot_0', 'leased')] });
  await server.until('the news', () => heard === 2);
  for await (const slots of watch) {
    expect(slots.map(({ state }) => state)).toEqual(['leased', 'leased']);
    break;
  }
  await server.until('the end', () => server.seen('watch.slots').length === 2);
  expect(server.seen('watch.slots')[1]?.params).toEqual({ on: false, screens: false });
});
