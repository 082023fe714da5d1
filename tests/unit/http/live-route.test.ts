// /live/SLOT: the stream as an asciinema player sees it, from the first byte to the end of the lease.
import pino from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type AlisMessage, decodeAlis } from '../../../protocol/alis.ts';
import { Fault } from '../../../protocol/fault.ts';
import { type LiveOptions, LiveRoute, type LiveSlot } from '../../../server/http/live-route.ts';
import { FrameLog } from '../../../server/keeper/frame-log.ts';
import { Endpoint } from '../../../server/rpc/endpoint.ts';
import { LiveScreen } from '../../../server/screen/live-screen.ts';
import { type Site, startSite } from './harness.ts';

/** What the player offers. */
const PLAYER = ['v1.alis', 'v2.asciicast', 'v3.asciicast', 'raw'];

interface Leased {
  ended: boolean;
  readonly log: FrameLog;
  readonly screen: LiveScreen;
  readonly ready: Promise<void>;
}

/** One slot that tests lease and end by hand, on a real log and screen. */
class Stage implements LiveSlot {
  lease: Leased | null = null;
  viewers = 0;
  readonly #listeners = new Set<() => void>();

  readonly slots: LiveOptions['slots'] = {
    get: (name) => {
      if (name !== 'slot_0') throw new Fault('SLOT_NOT_FOUND');
      return this;
    },
    listen: (listener) => {
      this.#listeners.add(listener);
      return { close: () => void this.#listeners.delete(listener) };
    },
  };

  get waiting(): number {
    return this.#listeners.size;
  }

  view(): { close(): void } {
    this.viewers++;
    return { close: () => void this.viewers-- };
  }

  begin(): FrameLog {
    const log = new FrameLog({
      cast: 'cast_1',
      cols: 80,
      rows: 24,
      now: () => performance.now(),
      ringBytes: 512 * 1024,
    });
    const screen = new LiveScreen(log, { reply: () => {} });
    this.lease = { ended: false, log, screen, ready: Promise.resolve() };
    for (const listener of [...this.#listeners]) listener();
    return log;
  }

  end(): void {
    if (this.lease === null) return;
    this.lease.ended = true;
    this.lease.screen.close();
    this.lease.log.close();
    this.lease = null;
  }
}

let site: Site;
let stage: Stage;
let endpoint: Endpoint;

beforeEach(async () => {
  stage = new Stage();
  site = await startSite({
    endpoint: (gate) => {
      const log = pino({ level: 'silent' });
      endpoint = new Endpoint({ gate, log, routes: [new LiveRoute({ slots: stage.slots, log })] });
      return endpoint;
    },
  });
});
afterEach(async () => {
  stage.end();
  await site.close();
});

/** Collects messages; `next` gives the one that fits, in order. */
class Viewer<T> {
  readonly socket: WebSocket;
  readonly closed: Promise<number>;
  readonly heard: T[] = [];
  #wake: () => void = () => {};

  constructor(
    read: (data: Buffer, isBinary: boolean) => T,
    options: { protocols?: string[]; token?: string; path?: string } = {},
  ) {
    const { protocols = PLAYER, token = site.admin, path = '/live/slot_0' } = options;
    const headers = { authorization: `Bearer ${token}` };
    this.socket = new WebSocket(`ws://127.0.0.1:${site.port}${path}`, protocols, { headers });
    this.socket.on('message', (data, isBinary) => {
      this.heard.push(read(data as Buffer, isBinary));
      this.#wake();
    });
    this.closed = new Promise((resolve) => this.socket.on('close', (code) => resolve(code)));
  }

  async until(fits: (heard: T[]) => boolean): Promise<T[]> {
    while (!fits(this.heard)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.heard;
  }
}

const player = (options?: ConstructorParameters<typeof Viewer<AlisMessage>>[1]): Viewer<AlisMessage> =>
  new Viewer((data, isBinary) => {
    if (!isBinary) throw new Error('ALiS is binary');
    return decodeAlis(data);
  }, options);
const lines = (protocol: string): Viewer<unknown> =>
  new Viewer((data) => JSON.parse(data.toString()), { protocols: [protocol] });

const last = (heard: AlisMessage[]): string => {
  const message = heard.at(-1);
  return message?.kind === 'event' ? message.data : '';
};

test('a player gets magic and screen at once, then every frame with its number and time, then the end', async () => {
  const log = stage.begin();
  log.append('o', 'before\r\n');
  const viewer = player();
  const [magic, init] = await viewer.until((heard) => heard.length >= 2);
  expect(viewer.socket.protocol).toBe('v1.alis');
  expect(magic).toEqual({ kind: 'magic' });
  expect(init).toMatchObject({
    kind: 'init',
    lastId: 1,
    cols: 80,
    rows: 24,
    screen: expect.stringContaining('before'),
  });
  log.append('o', 'ä漢');
  log.append('r', '100x30');
  log.append('m', 'make');
  log.append('x', '3');
  await viewer.until((heard) => heard.length >= 6);
  stage.end();
  expect(await viewer.closed).toBe(4000);
  const rest = viewer.heard.slice(2);
  expect(
    rest.map((message) => (message.kind === 'event' ? [message.id, message.code, message.data] : message.kind)),
  ).toEqual([[2, 'o', 'ä漢'], [3, 'r', '100x30'], [4, 'm', 'make'], [5, 'x', '3'], 'end']);
  const initUs = init?.kind === 'init' ? init.timeUs : 0;
  const steps = rest.reduce((sum, message) => sum + (message.kind === 'event' ? message.dtUs : 0), 0);
  expect(initUs + steps).toBe(log.lastTimeMs * 1000);
});

test('a free slot says so by waiting: magic at once, the screen when somebody leases it', async () => {
  const viewer = player();
  await viewer.until((heard) => heard.length === 1);
  while (stage.waiting === 0) await new Promise((resolve) => setImmediate(resolve));
  const log = stage.begin();
  const [, init] = await viewer.until((heard) => heard.length === 2);
  expect(init).toMatchObject({ kind: 'init', lastId: 0 });
  log.append('o', 'hello');
  expect(last(await viewer.until((heard) => heard.length === 3))).toBe('hello');
});

test('a viewer that leaves while it waits, or while it watches, leaves nothing behind', async () => {
  const waiting = player();
  await waiting.until((heard) => heard.length === 1);
  while (stage.waiting === 0) await new Promise((resolve) => setImmediate(resolve));
  waiting.socket.terminate();
  while (stage.waiting > 0 || stage.viewers > 0) await new Promise((resolve) => setImmediate(resolve));
  stage.begin();
  const watching = player();
  await watching.until((heard) => heard.length === 2);
  expect(stage.viewers).toBe(1);
  watching.socket.close();
  while (stage.viewers > 0) await new Promise((resolve) => setImmediate(resolve));
  expect(endpoint.size).toBe(0);
});

test('a slow viewer gets a fresh screen instead of what it missed, and slows nobody', async () => {
  const log = stage.begin();
  const slow = player();
  const fast = player();
  await Promise.all([slow, fast].map((viewer) => viewer.until((heard) => heard.length === 2)));
  slow.socket.pause();
  for (let written = 0; written < 24 * 1024 * 1024; written += 64 * 1024) {
    log.append('o', `${'x'.repeat(64 * 1024 - 6)}\r\n`);
    if (written % (1024 * 1024) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  log.append('o', 'the end');
  const numberOf = (message: AlisMessage | undefined): number =>
    message?.kind === 'init' ? message.lastId : message?.kind === 'event' ? message.id : 0;
  const caughtUp = (heard: AlisMessage[]): boolean => numberOf(heard.at(-1)) === log.lastSeq;
  await fast.until(caughtUp);
  expect(caughtUp(slow.heard)).toBe(false);
  slow.socket.resume();
  const heard = await slow.until(caughtUp);
  expect(heard.filter(({ kind }) => kind === 'init').length).toBeGreaterThanOrEqual(2);
  let number = 0;
  for (const message of heard.slice(1)) {
    if (message.kind === 'event') expect(message.id).toBe(number + 1);
    else expect(numberOf(message)).toBeGreaterThanOrEqual(number);
    number = numberOf(message);
  }
}, 20_000);

test('a sequence that would set the clipboard of who watches is left out, and no number with it', async () => {
  const log = stage.begin();
  const viewer = player();
  await viewer.until((heard) => heard.length === 2);
  for (const data of ['a\u001b]5', '2;c;aGk=', '\u0007b']) log.append('o', data);
  const heard = await viewer.until((all) => all.length === 5);
  expect(heard.slice(2)).toMatchObject([
    { id: 1, data: 'a' },
    { id: 2, data: '' },
    { id: 3, data: 'b' },
  ]);
});

test('v3.asciicast has intervals, and closes with 1000 at the end', async () => {
  const log = stage.begin();
  log.append('o', 'before');
  const viewer = lines('v3.asciicast');
  await viewer.until((heard) => heard.length === 2);
  log.append('o', 'after');
  log.append('o', 'wards');
  const heard = await viewer.until((all) => all.length === 4);
  expect(viewer.socket.protocol).toBe('v3.asciicast');
  expect(heard).toEqual([
    { version: 3, term: { cols: 80, rows: 24 } },
    [0, 'o', expect.stringContaining('before')],
    [expect.any(Number), 'o', 'after'],
    [expect.any(Number), 'o', 'wards'],
  ]);
  stage.end();
  expect(await viewer.closed).toBe(1000);
});

test('v2.asciicast has times since the viewer came', async () => {
  const log = stage.begin();
  await new Promise((resolve) => setTimeout(resolve, 30));
  const viewer = lines('v2.asciicast');
  await viewer.until((heard) => heard.length === 2);
  log.append('o', 'a');
  await new Promise((resolve) => setTimeout(resolve, 20));
  log.append('o', 'b');
  const heard = await viewer.until((all) => all.length === 4);
  expect(heard[0]).toEqual({ version: 2, width: 80, height: 24 });
  const times = heard.slice(1).map((event) => (event as [number])[0]);
  expect(times[0]).toBe(0);
  expect(times[2]).toBeGreaterThan(times[1] ?? 0);
  expect(times).toEqual([...times].sort((a, b) => a - b));
});

test('a viewer only watches: what it sends closes it with 1008', async () => {
  stage.begin();
  for (const message of ['text', Buffer.from([1])]) {
    const viewer = player();
    await viewer.until((heard) => heard.length === 2);
    viewer.socket.send(message);
    expect(await viewer.closed).toBe(1008);
  }
});

test('when the gateway goes down players come back: 1001', async () => {
  stage.begin();
  const viewer = player();
  await viewer.until((heard) => heard.length === 2);
  await endpoint.close();
  expect(await viewer.closed).toBe(1001);
});

test.each([
  ['another slot than the token is for', '/live/slot_0', 'slot_7', 403],
  ['a slot that is not there', '/live/nowhere', undefined, 404],
  ['no slot', '/live/', undefined, 404],
  ['a slot by a broken name', '/live/%ff', undefined, 404],
])('%s is refused before the upgrade', async (_name, path, only, status) => {
  const token = await site.token('viewer', only);
  const viewer = player({ path, token });
  const refused = await new Promise<number>((resolve) => {
    viewer.socket.on('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
  });
  expect(refused).toBe(status);
});
