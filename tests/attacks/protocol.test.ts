// Against JSON-RPC: messages that no proper client sends. Whoever sends them is answered, and everybody else is not disturbed.
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { z } from 'zod';
import { type MethodName, methods } from '../../protocol/contract.ts';
import { Client } from '../unit/rpc/harness.ts';
import { attackOnce } from './attack.ts';
import type { User } from './catalogue.ts';
import { ADDRESS, type Target, TOKEN, targets } from './gateway.ts';

/** The same whoever runs the gateway. */
const me: User = process.getuid?.() === 0 ? 'root' : 'user';
const of = targets();
let target: Target;
const open: Client[] = [];

beforeAll(async () => {
  target = await of(me);
});
afterAll(() => {
  for (const client of open) client.close();
});

/** A connection without any of the SDK's care. */
async function raw(token = TOKEN): Promise<Client> {
  const client = await Client.open(target.port, { host: ADDRESS, token });
  open.push(client);
  return client;
}

interface Failed {
  readonly id: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data: { readonly name?: string } };
}

/** The answer to a text that may have no id: the first message that comes. */
async function answer(client: Client, text: string): Promise<unknown> {
  const before = client.heard.length;
  client.send(text);
  return await client.hear((message) => client.heard.indexOf(message) >= before);
}

const call = (id: unknown, method: unknown, params: unknown = {}): string =>
  JSON.stringify({ jsonrpc: '2.0', id, method, params });

const answersStill = async (client: Client): Promise<void> => {
  expect((await client.call('server.info', {})).result).toMatchObject({ name: 'slotcast' });
};

describe('E', () => {
  attackOnce('E01', async () => {
    const client = await raw();
    for (const text of ['{"jsonrpc":', '', '{', '[', 'nul', "{'a':1}", '{"a":1}x', '"open', '\ufeff{}', '{"id":1,}']) {
      expect(await answer(client, text), text).toMatchObject({ id: null, error: { code: -32700 } });
    }
    await answersStill(client);
  });

  attackOnce('E02', async () => {
    const client = await raw();
    expect(await answer(client, '[]')).toMatchObject({ id: null, error: { code: -32600 } });
    const refused = { jsonrpc: '2.0', id: null, error: { code: -32600 } };
    expect(await answer(client, '[1,2,3]')).toMatchObject([refused, refused, refused]);
    expect(await answer(client, '[[],null,"a"]')).toMatchObject([refused, refused, refused]);
    expect(await answer(client, `[1,${call(7, 'server.info')}]`)).toMatchObject([refused, { id: 7, result: {} }]);
    for (const text of ['null', '1', '"a"', 'true', '{}', '{"jsonrpc":"1.0","id":null,"method":"a"}']) {
      expect(await answer(client, text), text).toMatchObject({ id: null, error: { code: -32600 } });
    }
    await answersStill(client);
  });

  attackOnce('E03', async () => {
    const client = await raw();
    const one = call(1, 'server.info');
    const reply = (await answer(client, `[${Array(100_000).fill(one).join(',')}]`)) as Failed;
    expect(reply).toMatchObject({ id: null, error: { code: -32600 } });
    expect(reply.error?.message).toMatch(/at most \d+/);
    const small = (await answer(client, `[${Array(101).fill(1).join(',')}]`)) as Failed;
    expect(small.error?.message).toContain('at most 100 calls, this one 101');
    await answersStill(client);
    // Nothing of it ran: every message has been answered by now.
    expect(client.heard).toHaveLength(4 - 1);
  });

  attackOnce('E05', async () => {
    const client = await raw();
    for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty', 'valueOf', '__defineGetter__', '']) {
      expect(await client.call(name, {}), name).toMatchObject({ error: { code: -32601 } });
    }
    for (const params of ['{"__proto__":{"admin":true}}', '{"constructor":{"prototype":{"admin":true}}}']) {
      const text = `{"jsonrpc":"2.0","id":5,"method":"slot.list","params":${params}}`;
      const reply = (await answer(client, text)) as Failed;
      // A strict schema may look at __proto__ as no field at all, but never as the prototype.
      if (reply.error !== undefined) expect(reply.error.code).toBe(-32602);
      await answer(client, `{"jsonrpc":"2.0","id":6,"method":"exec.run","params":{"command":"x","env":${params}}}`);
    }
    // What the envelope takes from a prototype would make this a whole call.
    const inherited = '{"__proto__":{"jsonrpc":"2.0","method":"server.info","id":9}}';
    expect(await answer(client, inherited)).toMatchObject({ id: null, error: { code: -32600 } });
    const viewer = await raw(await target.mint({ role: 'viewer', ttlMs: 60_000 }));
    // A polluted prototype would give everybody these.
    expect(await viewer.call('slot.acquire', {})).toMatchObject({ error: { data: { name: 'FORBIDDEN' } } });
    const listed = (await viewer.call('slot.list', {})).result as { slots: object[] };
    expect(JSON.stringify(listed)).not.toContain('admin');
    await answersStill(client);
  });

  attackOnce('E06', async () => {
    const client = await raw();
    await client.call('slot.acquire', {});
    client.send(call('twice', 'exec.run', { command: 'sleep 60' }));
    client.send(call('twice', 'server.info'));
    const second = (await client.reply('twice')) as Failed;
    expect(second.error?.code).toBe(-32600);
    expect(second.error?.message).toContain('its own id');
    // The first goes on, and its id still means it alone.
    expect((await client.call('slot.info', {})).result).toMatchObject({ processes: 1 });
    client.heard.length = 0;
    client.send(JSON.stringify({ jsonrpc: '2.0', method: '$/cancelRequest', params: { id: 'twice' } }));
    expect(await client.reply('twice')).toMatchObject({ error: { data: { name: 'CANCELLED' } } });
    // In one batch too, and an id is free again when its call has ended.
    const both = await answer(client, `[${call('same', 'exec.list')},${call('same', 'exec.list')}]`);
    expect((both as Failed[]).filter(({ error }) => error?.code === -32600)).toHaveLength(1);
    client.send(call('ended', 'server.info'));
    await client.reply('ended');
    client.heard.length = 0;
    client.send(call('ended', 'server.info'));
    expect((await client.reply('ended')).result).toMatchObject({ name: 'slotcast' });
    await client.call('slot.release', {});
  });

  attackOnce('E11', async () => {
    const unbound = await raw();
    const bound = await raw();
    await bound.call('slot.acquire', {});
    for (const client of [unbound, bound]) {
      for (const name of Object.keys(methods) as MethodName[]) await wrongEach(client, name);
      await answersStill(client);
    }
    // Nothing of it was done.
    const { result } = await bound.call('slot.info', {});
    expect(result).toMatchObject({ state: 'leased', commands: 0, terminal: null });
    await bound.call('slot.release', {});
  });

  attackOnce('E12', async () => {
    const client = await raw();
    for (const name of ['nope', 'slot', 'slot.', 'SLOT.LIST', 'slot.list ', 'rpc.nope', '$/cancelRequest']) {
      expect(await client.call(name, {}), name).toMatchObject({ error: { code: -32601 } });
    }
    const count = client.heard.length;
    for (const name of ['nope', 'slot.list', '__proto__', '$/nope', 'slots.changed']) {
      client.send(JSON.stringify({ jsonrpc: '2.0', method: name }));
    }
    for (const params of [undefined, null, [], { id: null }, { id: {} }, { id: 'nobody' }, { id: -1 }]) {
      client.send(JSON.stringify({ jsonrpc: '2.0', method: '$/cancelRequest', params }));
    }
    client.send('[{"jsonrpc":"2.0","method":"nope"},{"jsonrpc":"2.0","method":"server.info"}]');
    await answersStill(client);
    const replies = client.heard.slice(count);
    // params: null makes it no call at all, which JSON-RPC answers; everything else is silent.
    expect(replies.filter((reply) => (reply as Failed).error?.code === -32600)).toHaveLength(1);
    expect(replies).toHaveLength(2);
  });
});

describe('E, further', () => {
  attackOnce('E30', async () => {
    const client = await raw();
    const deep = (open: string, close: string, levels: number): string => open.repeat(levels) + close.repeat(levels);
    for (const nested of [
      deep('[', ']', 100_000),
      `${deep('{"a":', '}', 100_000).replace('}', '1}')}`,
      '['.repeat(100_000),
    ]) {
      expect(await answer(client, nested)).toMatchObject({ id: null, error: { code: -32600 } });
      expect(await answer(client, `{"jsonrpc":"2.0","id":1,"method":"server.info","params":${nested}}`)).toMatchObject({
        id: null,
        error: { code: -32600 },
      });
    }
    // Brackets in a string are text.
    expect(await client.call('watch.stop', { watch: deep('[', ']', 50_000) })).toMatchObject({ result: {} });
    await answersStill(client);
  });

  attackOnce('E31', async () => {
    const client = await raw();
    const params = (method: string, text: string): string =>
      `{"jsonrpc":"2.0","id":1,"method":"${method}","params":${text}}`;
    for (const number of ['1e400', '-1e400', '1e308', '9007199254740993', '0.1', '-1']) {
      for (const order of [`{"graceMs":${number}}`, `{"received":{"p1":{"stdout":${number},"stderr":0}}}`]) {
        client.heard.length = 0;
        expect(await answer(client, params('slot.acquire', order)), order).toMatchObject({ error: { code: -32602 } });
      }
    }
    expect(await answer(client, '{"jsonrpc":"2.0","id":1e400,"method":"server.info"}')).toMatchObject({
      id: null,
      error: { code: -32600 },
    });
    // The last of the same keys counts, for every reader alike: what was checked is what is done.
    const twice = '{"jsonrpc":"2.0","id":1,"method":"slot.acquire","id":2,"method":"server.info","params":{}}';
    expect(await answer(client, twice)).toMatchObject({ id: 2, result: { name: 'slotcast' } });
    const bound = await raw(await target.mint({ role: 'agent', slot: 'slot_0', ttlMs: 60_000 }));
    for (const order of ['{"slot":"slot_0","slot":"slot_1"}', '{"slot":"slot_0","sl\\u006ft":"slot_1"}']) {
      expect(await answer(bound, params('slot.acquire', order))).toMatchObject({
        error: { data: { name: 'FORBIDDEN' } },
      });
    }
  });

  attackOnce('E32', async () => {
    const client = await raw();
    for (const id of [null, {}, [], [1], { toString: 1 }, true, 'x'.repeat(1001)]) {
      expect(await answer(client, call(id, 'server.info')), JSON.stringify(id)).toMatchObject({
        id: null,
        error: { code: -32600 },
      });
    }
    for (const id of [1.5, -1, 0, '', '__proto__', 'constructor', 1e300, '\u0000', '\u2028', '\ud83d\ude00']) {
      client.heard.length = 0;
      expect(await answer(client, call(id, 'server.info')), String(id)).toMatchObject({ id, result: {} });
    }
    // 1 and "1" are two calls.
    client.heard.length = 0;
    client.send(`[${call(1, 'server.info')},${call('1', 'slot.list')}]`);
    const replies = await client.hear<Failed[]>((message) => Array.isArray(message));
    expect(new Set(replies.map(({ id }) => id))).toEqual(new Set([1, '1']));
  });

  attackOnce('E33', async () => {
    const client = await raw();
    const half = '\\ud800';
    const at = (method: string, params: string, id = '1'): Promise<unknown> =>
      answer(client, `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${params}}`);
    // Half a character is sent back as a whole one or escaped: every reader can read the reply.
    expect(await at('server.info', '{}', `"${half}"`)).toMatchObject({ result: { name: 'slotcast' } });
    expect(await at(half, '{}')).toMatchObject({ error: { code: -32601 } });
    expect(await at('cast.info', `{"cast":"${half}"}`)).toMatchObject({ error: { data: { name: 'INVALID_PARAMS' } } });
    expect(await at('slot.info', `{"slot":"${half}"}`)).toMatchObject({ error: { data: { name: 'SLOT_NOT_FOUND' } } });
    const acquired = (await at('slot.acquire', `{"label":"half ${half}"}`)) as { result?: { cast: string } };
    await at('exec.run', `{"command":"echo ${half} | od -c","env":{"HALF":"${half}"}}`);
    await at('file.write', `{"path":"half${half}","data":"${half}"}`);
    expect(await at('file.list', '{"path":"."}')).toMatchObject({ id: 1 });
    await client.call('slot.release', {});
    if (acquired.result !== undefined) {
      expect(await client.call('cast.verify', { cast: acquired.result.cast })).toMatchObject({ result: { ok: true } });
    }
    await answersStill(client);
  });
});

const WRONG: readonly unknown[] = [null, true, 7.5, 'wrong', ['wrong'], { wrong: 1 }];

interface Shape {
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, TypeOf>>;
}
interface TypeOf {
  readonly type?: string;
  readonly anyOf?: readonly TypeOf[];
}

/** Whether JSON of that kind may be right for the field; what is in it is not looked at. */
function fits({ type, anyOf }: TypeOf, value: unknown): boolean {
  if (anyOf !== undefined) return anyOf.some((one) => fits(one, value));
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return value !== null && typeof value === 'object' && !Array.isArray(value);
  if (type === 'integer') return false;
  return typeof value === type;
}

/** Right values of what a method can't do without. */
const REQUIRED: Readonly<Record<string, unknown>> = {
  slot: 'slot_0',
  process: 'p1',
  signal: 'SIGTERM',
  command: 'true',
  data: '',
  keys: ['Enter'],
  cols: 80,
  rows: 24,
  watch: 'w1',
  on: false,
  cast: 'cast_1',
  time: 0,
  pinned: true,
  path: 'a',
  from: 'a',
  to: 'b',
};

/** Every field of a method with each kind of JSON that is not its own, each field left out that it needs, and one too many. */
async function wrongEach(client: Client, name: MethodName): Promise<void> {
  const { params: schema } = methods[name];
  const { required = [], properties = {} } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Shape;
  const right = Object.fromEntries(required.map((field) => [field, REQUIRED[field]]));
  client.heard.length = 0;
  const orders: [field: string, params: unknown][] = [
    ['there', { ...right, there: 1 }],
    ...required.map((field): [string, unknown] => [field, { ...right, [field]: undefined }]),
    ...Object.entries(properties).flatMap(([field, type]) =>
      WRONG.filter((value) => !fits(type, value)).map((value): [string, unknown] => [
        field,
        { ...right, [field]: value },
      ]),
    ),
  ];
  const replies = await Promise.all(orders.map(([, params]) => client.call(name, params)));
  for (const [at, [field, params]] of orders.entries()) {
    const error = replies[at]?.error;
    const what = `${name} ${JSON.stringify(params)}: ${error?.message}`;
    expect(error?.code, what).toBe(-32602);
    expect(error?.message, what).toContain(field);
  }
  expect(await client.call(name, [right]), name).toMatchObject({ error: { code: -32602 } });
  // By JSON-RPC these are no calls.
  for (const params of [null, 7, 'text', true]) {
    expect(await client.call(name, params), name).toMatchObject({ error: { code: -32600 } });
  }
}
