// Dispatching without a socket: who may call what with which params, and what an error looks like to the caller and in the log.
import pino from 'pino';
import { expect, test } from 'vitest';
import { type MethodName, methods } from '../../../protocol/contract.ts';
import { Fault } from '../../../protocol/fault.ts';
import type { Context, Grant, Handlers, Peer } from '../../../server/methods/context.ts';
import { type CallRecord, Dispatcher } from '../../../server/rpc/dispatcher.ts';

interface Setting {
  readonly handlers?: Partial<Handlers>;
  readonly grant?: Partial<Grant>;
  readonly lease?: { slot: string; ended: boolean; endedBy?: string } | null;
  readonly draining?: boolean;
}

function setUp({ handlers = {}, grant = {}, lease = null, draining = false }: Setting = {}) {
  const logged: string[] = [];
  const records: CallRecord[] = [];
  const dispatcher = new Dispatcher({
    handlers: handlers as Handlers,
    log: pino({ level: 'trace' }, { write: (line: string) => void logged.push(line) }),
    draining: () => draining,
    observe: (record) => records.push(record),
  });
  const peer: Peer = {
    id: 'conn_1',
    grant: { id: 'tok_1', role: 'admin', slot: null, cast: null, ...grant },
    lease: lease as unknown as Peer['lease'],
    closed: false,
    notify: async () => {},
    send: () => true,
    ready: async () => {},
    close: () => {},
    onClose: () => {},
  };
  const abort = new AbortController();
  const context: Context = { peer, signal: abort.signal };
  const call = (name: string, params?: unknown): Promise<unknown> => dispatcher.dispatch(name, params, context);
  const fault = (name: string, params?: unknown): Promise<Fault> =>
    call(name, params).then(
      () => new Fault('INTERNAL', 'it succeeded'),
      (error) => error,
    );
  return { call, fault, logged, records, abort };
}

const bound = { slot: 'slot_0', ended: false };

test('params arrive validated, with their defaults', async () => {
  const { call } = setUp({ handlers: { 'cast.list': async (params) => params as never } });
  expect(await call('cast.list')).toEqual({ limit: 100 });
  expect(await call('cast.list', { slot: 'slot_1' })).toEqual({ slot: 'slot_1', limit: 100 });
});

test.each([
  ['exec.run', { command: 5 }, 'command: Invalid input: expected string, received number'],
  ['exec.run', { command: 'x', nope: 1 }, 'nope: there is no such field'],
  ['exec.run', { command: 'x', env: { 'a b': 'c' } }, 'env.a b: '],
  ['exec.run', {}, 'command: give either command or argv'],
  ['exec.run', { argv: ['a', 7] }, 'argv.1: '],
  ['exec.run', [1], 'Params go by name'],
  ['terminal.wait', { text: 'a', idleMs: 5 }, 'give exactly one of'],
  ['slot.acquire', { label: 'a\u0007b' }, 'label: '],
])('%s %j is INVALID_PARAMS and says which field in one line', async (name, params, message) => {
  const fault = await setUp({ lease: bound }).fault(name, params);
  expect(fault.fault).toBe('INVALID_PARAMS');
  expect(fault.message).toContain(message);
  expect(fault.message).not.toMatch(/[\n\r]/);
});

test('every method refuses params of a wrong type', async () => {
  const { fault } = setUp({ lease: bound });
  for (const name of Object.keys(methods)) {
    for (const params of [5, 'text', [], [1], { 'no such field': 1 }]) {
      expect([name, params, (await fault(name, params)).fault]).toEqual([name, params, 'INVALID_PARAMS']);
    }
  }
});

test('every method needs its role, whatever the params', async () => {
  const viewer = setUp({ grant: { role: 'viewer' } });
  const agent = setUp({ grant: { role: 'agent' } });
  for (const name of Object.keys(methods) as MethodName[]) {
    const { role } = methods[name];
    expect([name, (await viewer.fault(name, 5)).fault]).toEqual([
      name,
      role === 'viewer' ? 'INVALID_PARAMS' : 'FORBIDDEN',
    ]);
    expect([name, (await agent.fault(name, 5)).fault]).toEqual([
      name,
      role === 'admin' ? 'FORBIDDEN' : 'INVALID_PARAMS',
    ]);
  }
});

test('a token of one slot gets the same answer for every other, there or not, for every method that names one', async () => {
  const { fault } = setUp({ grant: { slot: 'slot_0' }, lease: bound });
  const naming = Object.entries(methods).filter(([, { params }]) => 'slot' in params.shape);
  expect(naming.map(([name]) => name)).toContain('watch.start');
  for (const [name] of naming) {
    const [there, missing] = [await fault(name, { slot: 'slot_1' }), await fault(name, { slot: 'nowhere' })];
    expect([name, there.fault, there.message]).toEqual([name, 'FORBIDDEN', missing.message]);
  }
});

test('a token of one slot can not use a lease of another, however it came to it', async () => {
  const { fault } = setUp({ grant: { slot: 'slot_0' }, lease: { slot: 'slot_1', ended: false } });
  expect((await fault('exec.list')).fault).toBe('FORBIDDEN');
});

test('calls that need a slot say NOT_BOUND without a lease and LEASE_LOST after it has ended', async () => {
  const needing = (Object.keys(methods) as MethodName[]).filter((name) => methods[name].needs === 'slot');
  expect(needing.length).toBeGreaterThan(10);
  expect((await setUp().fault('exec.list')).fault).toBe('NOT_BOUND');
  const lost = await setUp({ lease: { slot: 'slot_0', ended: true, endedBy: 'expired' } }).fault('exec.list');
  expect(lost.fault).toBe('LEASE_LOST');
  expect(lost.message).toContain('expired');
});

test('while the gateway goes down nothing new begins, and what runs can be looked after', async () => {
  const handlers = { 'exec.list': async () => ({ processes: [] }) };
  const { call, fault } = setUp({ draining: true, lease: bound, handlers });
  expect((await fault('exec.run', { command: 'x' })).fault).toBe('SHUTTING_DOWN');
  expect((await fault('slot.acquire')).fault).toBe('SHUTTING_DOWN');
  expect(await call('exec.list')).toEqual({ processes: [] });
});

test('a defect is INTERNAL with an id that finds it in the log: no stack, path or payload for the caller, no payload in the log', async () => {
  const secret = 'PAYLOAD-7f3a';
  const { fault, logged } = setUp({
    lease: bound,
    handlers: {
      'exec.run': async () => {
        throw new Error("ENOENT: no such file, open '/var/lib/slotcast/x'");
      },
    },
  });
  const { message, data } = await fault('exec.run', { command: secret });
  expect(data).toMatchObject({ name: 'INTERNAL', id: expect.stringMatching(/^err_[0-9a-f]{12}$/) });
  expect(`${message} ${JSON.stringify(data)}`).not.toMatch(/slotcast\/|ENOENT|at /);
  expect(logged).toHaveLength(1);
  expect(logged[0]).toContain(data['id']);
  expect(logged[0]).toContain('/var/lib/slotcast/x');
  expect(logged[0]).not.toContain(secret);
});

test('faults of a handler pass as they are, and an aborted call is CANCELLED', async () => {
  const { fault, abort, logged } = setUp({
    handlers: {
      'slot.info': async () => {
        throw new Fault('SLOT_NOT_FOUND', 'There is no slot_9.');
      },
      'slot.list': async (_call, { signal }) => {
        signal.throwIfAborted();
        return { slots: [] };
      },
    },
  });
  expect(await fault('slot.info', { slot: 'slot_9' })).toMatchObject({
    fault: 'SLOT_NOT_FOUND',
    message: 'There is no slot_9.',
  });
  abort.abort();
  expect((await fault('slot.list')).fault).toBe('CANCELLED');
  expect(logged).toEqual([]);
});

test('every call is counted, names that a client made up under one', async () => {
  const { fault, call, records } = setUp({ handlers: { 'slot.list': async () => ({ slots: [] }) } });
  await call('slot.list');
  await fault('slot.info');
  await fault('made-up');
  expect(records.map(({ method, outcome }) => [method, outcome])).toEqual([
    ['slot.list', 'ok'],
    ['slot.info', 'INTERNAL'],
    ['unknown', 'METHOD_NOT_FOUND'],
  ]);
});
