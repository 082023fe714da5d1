// The JSON-RPC endpoint of a real gateway under damaged real traffic: every request gets one reply of a valid shape, nothing is a defect,
// nobody else notices, and nothing stays behind.
import { isUtf8 } from 'node:buffer';
import { readdirSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { Client } from '../../client/index.ts';
import { methodNamed, methods, notificationNamed } from '../../protocol/contract.ts';
import { Fault, type FaultName, faults } from '../../protocol/fault.ts';
import { startGateway, type TestGateway, until } from '../support/gateway.ts';
import { asFound, asked, timeout } from './fuzz.ts';
import { damage, ODD_TEXT, oddText } from './mutation.ts';
import { recordTraffic } from './traffic.ts';

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

let gateway: TestGateway;
let traffic: readonly string[] = [];
/** Drives a slot of its own beside everything that is tried. */
let bystander: Client;
let cleaner: Client;
let descriptors = 0;
const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

beforeAll(async () => {
  descriptors = openDescriptors();
  gateway = await startGateway('--slots', '6', '--grace-ms', '0');
  traffic = await recordTraffic(gateway);
  bystander = await gateway.client();
  await bystander.call('slot.acquire', { slot: 'slot_5', graceMs: 60_000 });
  await bystander.call('terminal.start', {});
  cleaner = await gateway.client();
});

afterAll(async () => {
  await gateway?.close();
});

/** The ids, null for those that can't be read, of the replies that a message has to get. */
function owed(text: string): (string | number | null)[] {
  let value: Json;
  try {
    value = JSON.parse(text);
  } catch {
    return [null];
  }
  if (depthOf(value) > 64) return [null];
  if (!Array.isArray(value)) return owedTo(value);
  return value.length === 0 || value.length > 100 ? [null] : value.flatMap(owedTo);
}

function depthOf(value: Json): number {
  if (value === null || typeof value !== 'object') return 0;
  let most = 0;
  for (const part of Object.values(value)) most = Math.max(most, depthOf(part));
  return 1 + most;
}

function owedTo(value: Json): (string | number | null)[] {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return [null];
  const given = new Map(Object.entries(value));
  const params = given.get('params');
  const isCall =
    given.get('jsonrpc') === '2.0' &&
    typeof given.get('method') === 'string' &&
    (params === undefined || (params !== null && typeof params === 'object'));
  if (!given.has('id')) return isCall ? [] : [null];
  const id = given.get('id');
  const isId = (typeof id === 'string' && id.length <= 1000) || (typeof id === 'number' && Number.isFinite(id));
  return [isId ? id : null];
}

/** The methods that a message calls, by the id of the call. */
function called(text: string): [id: string, method: string][] {
  try {
    const value: Json = JSON.parse(text);
    return (Array.isArray(value) ? value : [value]).flatMap((call): [string, string][] => {
      if (call === null || typeof call !== 'object' || Array.isArray(call)) return [];
      const { id, method } = call;
      return typeof method === 'string' ? [[JSON.stringify(id), method]] : [];
    });
  } catch {
    return [];
  }
}

interface Reply {
  readonly id: string | number | null;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data: { readonly name: FaultName } };
}

/** A raw connection that counts what it is owed. */
class Wire {
  readonly socket: WebSocket;
  readonly replies: Reply[] = [];
  readonly owed: (string | number | null)[] = [];
  readonly calls = new Map<string, Set<string>>();
  closeCode: number | null = null;
  #asked = 0;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data) => this.#read(String(data)));
    socket.on('close', (code) => {
      this.closeCode = code;
    });
  }

  static async open(): Promise<Wire> {
    const headers = { authorization: `Bearer ${gateway.token}` };
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws`, ['slotcast.v1'], { headers });
    const wire = new Wire(socket);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    return wire;
  }

  send(bytes: Buffer): void {
    if (!isUtf8(bytes)) {
      this.socket.send(bytes, { binary: false });
      return;
    }
    const text = bytes.toString();
    for (const [id, method] of called(text)) this.calls.set(id, (this.calls.get(id) ?? new Set()).add(method));
    this.owed.push(...owed(text));
    this.socket.send(text);
  }

  call(method: string, params: Json): void {
    this.send(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: `own ${this.#asked++}`, method, params })));
  }

  /** All that is owed has come. What waits for something is cancelled first. */
  async settle(): Promise<void> {
    const all = (): boolean => this.closeCode !== null || this.replies.length >= this.owed.length;
    const soon = performance.now() + 150;
    await until('the quick replies', () => all() || performance.now() > soon);
    for (let round = 0; !all() && round < 100; round++) {
      for (const id of new Set(this.owed)) {
        this.socket.send(JSON.stringify({ jsonrpc: '2.0', method: '$/cancelRequest', params: { id } }));
      }
      const patience = performance.now() + 300;
      await until('replies after a cancel', () => all() || performance.now() > patience);
    }
  }

  async close(): Promise<void> {
    if (this.closeCode !== null) return;
    this.socket.close();
    await until('the connection is closed', () => this.closeCode !== null);
  }

  #read(text: string): void {
    const value: unknown = JSON.parse(text);
    for (const message of Array.isArray(value) ? value : [value]) {
      if ('method' in message) this.#notified(message);
      else this.#replied(message);
    }
  }

  #notified({ method, params }: { method: string; params: unknown }): void {
    const declared = notificationNamed(method);
    if (declared?.params.safeParse(params).success !== true)
      throw new Error(`a bad ${method}: ${JSON.stringify(params)}`);
  }

  #replied(reply: Reply): void {
    this.replies.push(reply);
  }
}

function expectSound(wire: Wire): void {
  const sorted = (ids: readonly unknown[]): string[] => ids.map((id) => JSON.stringify(id)).sort();
  expect(sorted(wire.replies.map(({ id }) => id))).toEqual(sorted(wire.owed));
  for (const reply of wire.replies) {
    const { error } = reply;
    if (error === undefined) {
      const by = [...(wire.calls.get(JSON.stringify(reply.id)) ?? [])];
      const fits = by.some((method) => methodNamed(method)?.result.safeParse(reply.result).success);
      expect(fits, `a result of ${by}: ${JSON.stringify(reply.result)}`).toBe(true);
      continue;
    }
    expect(faults[error.data.name]?.code, JSON.stringify(error)).toBe(error.code);
    expect(error.data.name, JSON.stringify(error)).not.toBe('INTERNAL');
    expect(error.message).not.toMatch(/\n|\/proc\/self|slotcast-(?:e2e|run)-/);
  }
}

/** Whoever else is there gets his answers, and nothing holds a slot any more. */
async function expectOthersWell(): Promise<void> {
  await bystander.call('server.info', {});
  await until('nobody who has gone drives a slot', async () => {
    const { slots } = await cleaner.call('slot.list', {});
    const held = slots.filter(({ slot, state }) => slot !== 'slot_5' && state !== 'free');
    for (const { slot, state, connected } of held) if (state === 'leased' && !connected) await giveUp(slot);
    return held.length === 0;
  });
}

/** It may have asked for a long grace time. */
async function giveUp(slot: string): Promise<void> {
  const connection = await gateway.client();
  try {
    await connection.call('slot.takeover', { slot });
    await connection.call('slot.release', {});
  } catch (error) {
    // Its time may have come meanwhile.
    if (!(error instanceof Fault)) throw error;
  } finally {
    await connection.close();
  }
}

const oddValue: fc.Arbitrary<Json> = fc.oneof(
  oddText,
  fc.constantFrom<Json>(
    null,
    true,
    false,
    0,
    -1,
    0.5,
    1e308,
    -1e308,
    2 ** 31,
    2 ** 32,
    2 ** 53 - 1,
    2 ** 53,
    1e21,
    5e-324,
  ),
  fc.constantFrom<Json>([], {}, [[]], [null], { length: 1 }, { toString: 1 }, { id: 1 }, Array(300).fill(0), '\ud800'),
  fc.constantFrom(
    '/workspace',
    '/workspace/..',
    'd',
    'p1',
    'r1',
    'slot_0',
    'slot_5',
    'cast_1',
    'KILL',
    '(a+)+$',
    '[',
    '\x03',
  ),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<Json>,
);

/** Every place in a value that something else can be put into. */
function places(value: Json, path: readonly string[] = []): (readonly string[])[] {
  if (value === null || typeof value !== 'object') return [path];
  return [path, ...Object.entries(value).flatMap(([name, part]) => places(part, [...path, name]))];
}

function withPart(value: Json, path: readonly string[], part: Json | undefined): Json | undefined {
  const [name, ...rest] = path;
  if (name === undefined || value === null || typeof value !== 'object') return part;
  const copy = Object.entries(value).flatMap(([key, old]): [string, Json][] => {
    const changed = key === name ? withPart(old, rest, part) : old;
    return changed === undefined ? [] : [[key, changed]];
  });
  return Array.isArray(value) ? copy.map(([, item]) => item) : Object.fromEntries(copy);
}

const json = (value: Json | undefined): Buffer => Buffer.from(JSON.stringify(value ?? null));
const parsed = (text: string): Json => JSON.parse(text);

/** Messages of the traffic, each with something wrong; bytes, since not all of it is text any more. */
function message(): fc.Arbitrary<Buffer> {
  const real = fc.constantFrom(...traffic);
  const names = fc.oneof(fc.constantFrom(...Object.keys(methods), '$/cancelRequest', 'exec', 'slot.acquire.'), oddText);
  const changedPart = fc.tuple(real, fc.nat(), fc.option(oddValue, { nil: undefined })).map(([text, which, part]) => {
    const all = places(parsed(text));
    return json(withPart(parsed(text), all[which % all.length] ?? [], part));
  });
  const changedParam = fc.tuple(real, fc.nat(), oddValue).map(([text, which, part]) => {
    const all = places(parsed(text)).filter(([first, ...rest]) => first === 'params' && rest.length > 0);
    const path = all[which % Math.max(1, all.length)];
    return json(path === undefined ? parsed(text) : withPart(parsed(text), path, part));
  });
  const extraParam = fc.tuple(real, oddText, oddValue).map(([text, name, part]) => {
    const value = parsed(text) as { params?: { [name: string]: Json } };
    return json({ ...value, params: { ...value.params, [name]: part } });
  });
  const otherMethod = fc.tuple(real, names).map(([text, method]) => json({ ...(parsed(text) as object), method }));
  const otherId = fc
    .tuple(real, fc.oneof(oddValue, fc.constantFrom(1, 2, '1', 'own 0')))
    .map(([text, id]) => json({ ...(parsed(text) as object), id }));
  const batch = fc
    .array(fc.oneof(real.map(parsed), oddValue), { maxLength: 6 })
    .map((all) => json(all.flatMap((one) => (Array.isArray(one) ? one : [one]))));
  const bytes = fc
    .tuple(real, damage(traffic.map((text) => Buffer.from(text))), fc.boolean())
    .map(([text, change, asText]) => {
      const damaged = change(Buffer.from(text));
      return asText ? Buffer.from(damaged.toString()) : damaged;
    });
  return fc.oneof(
    { weight: 2, arbitrary: real.map((text) => Buffer.from(text)) },
    { weight: 3, arbitrary: changedPart },
    { weight: 6, arbitrary: changedParam },
    { weight: 1, arbitrary: extraParam },
    { weight: 2, arbitrary: otherMethod },
    { weight: 2, arbitrary: otherId },
    { weight: 2, arbitrary: batch },
    { weight: 3, arbitrary: bytes },
  );
}

test('damaged traffic gets one sound reply for each request, and never a defect', { timeout }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(message(), { minLength: 1, maxLength: 10 }), async (drives, messages) => {
      const wire = await Wire.open();
      if (drives) wire.call('slot.acquire', { graceMs: 0 });
      for (const one of messages) wire.send(one);
      await wire.settle();
      // Text that is no UTF-8 ends a WebSocket; whoever takes the connection over too.
      if (wire.closeCode === null) {
        wire.call('server.info', {});
        await until('the last reply', () => wire.replies.length >= wire.owed.length || wire.closeCode !== null);
        expectSound(wire);
      } else expect([1007, 4409]).toContain(wire.closeCode);
      await wire.close();
      await expectOthersWell();
    }),
    asked(60, asFound),
  );
});

test('random text gets an error each, and a binary frame ends the connection that sent it alone', {
  timeout,
}, async () => {
  const frame = fc.oneof(
    oddText,
    fc.string({ unit: 'binary' }),
    fc.json(),
    fc.constantFrom(...ODD_TEXT.map((odd) => `[${odd}]`)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(frame, { maxLength: 20 }), fc.uint8Array(), async (texts, bytes) => {
      const wire = await Wire.open();
      for (const text of texts) wire.send(Buffer.from(text));
      wire.call('server.info', {});
      await until('every reply', () => wire.replies.length >= wire.owed.length);
      expectSound(wire);
      wire.socket.send(bytes, { binary: true });
      await until('the end of the connection', () => wire.closeCode !== null);
      expect(wire.closeCode).toBe(1008);
    }),
    asked(20, asFound),
  );
  await bystander.call('server.info', {});
});

test('after all of it the slots work, no call was a defect, and closing leaves nothing behind', {
  timeout,
}, async () => {
  const run = await bystander.call('terminal.run', { command: 'echo well' });
  expect(run).toMatchObject({ outcome: 'exited', exitCode: 0, output: 'well\n' });
  const metrics = await fetch(`${gateway.url}/metrics`, { headers: { authorization: `Bearer ${gateway.token}` } });
  const text = await metrics.text();
  expect(text).toContain('outcome="ok"');
  expect(text).not.toContain('outcome="INTERNAL"');
  await expectOthersWell();
  const next = await gateway.client();
  await next.call('slot.acquire', { slot: 'slot_0' });
  expect((await next.call('file.list', {})).entries).toEqual([]);
  expect((await next.call('exec.run', { command: 'ps -e -o comm= | wc -l' })).stdout.trim()).toMatch(/^[1-5]$/);
  await gateway.close();
  await until('no descriptor is left', () => openDescriptors() <= descriptors);
});
