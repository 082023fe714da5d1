import { afterEach, beforeEach, expect, test } from 'vitest';
import { ConnectionError, ContractError, connect } from '../../../client/index.ts';
import { encodeErrorBody } from '../../../protocol/envelope.ts';
import { Fault } from '../../../protocol/fault.ts';
import { ACQUIRED, SILENCE, WireServer } from './wire-server.ts';

let server: WireServer;
beforeEach(async () => {
  server = await WireServer.open();
});
afterEach(() => server.close());

test('replies find their calls, whatever their order', async () => {
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  server.answer('file.stat', async ({ path }) => {
    if (path === 'slow') await held;
    else release();
    return { path, kind: 'file', size: 1, mtimeMs: 1, mode: 0 };
  });
  const client = await server.client();
  const both = await Promise.all([
    client.call('file.stat', { path: 'slow' }),
    client.call('file.stat', { path: 'fast' }),
  ]);
  expect(both.map(({ path }) => path)).toEqual(['slow', 'fast']);
});

test('an error of the gateway is a Fault with its name, message and details', async () => {
  server.answer('slot.list', () => {
    throw new Fault('RATE_LIMITED', 'Wait.', { afterMs: 20 });
  });
  const client = await server.client();
  const error = await client.slots().catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(Fault);
  expect(error).toMatchObject({ fault: 'RATE_LIMITED', message: 'Wait.', data: { afterMs: 20, retry: 'after' } });
});

test("a newer gateway's error that is not in the catalog still tells what it said", async () => {
  const client = await server.client();
  server.answer('server.info', (_params, { id, peer }) => {
    peer.socket.send(
      JSON.stringify({ jsonrpc: '2.0', id, error: { code: 9999, message: 'New.', data: { name: 'NEW' } } }),
    );
    return SILENCE;
  });
  await expect(client.server.info()).rejects.toMatchObject({ message: 'New.', detail: { gatewayName: 'NEW' } });
});

test('a batch is one frame, and each of its calls has its own result or reason', async () => {
  server.answer('slot.list', () => ({ slots: [] }));
  server.answer('slot.info', () => {
    throw new Fault('SLOT_NOT_FOUND');
  });
  const client = await server.client();
  const [list, info] = await client.batch([
    { method: 'slot.list', params: {} },
    { method: 'slot.info', params: { slot: 'slot_9' } },
  ]);
  expect(server.frames).toEqual([2]);
  expect(list).toEqual({ status: 'fulfilled', value: { slots: [] } });
  expect(info).toMatchObject({ status: 'rejected', reason: { fault: 'SLOT_NOT_FOUND' } });
});

test('a batch that is larger than the gateway takes goes in several frames', async () => {
  server.answer('slot.list', () => ({ slots: [] }));
  const client = await server.client();
  const calls = Array.from({ length: 250 }, () => ({ method: 'slot.list' as const, params: {} }));
  const results = await client.batch(calls);
  expect(results.every(({ status }) => status === 'fulfilled')).toBe(true);
  expect(server.frames).toEqual([100, 100, 50]);
});

test('aborting a call asks the gateway to cancel it, and its reply decides how it ended', async () => {
  let cancel = (): void => {};
  server.answer(
    'exec.run',
    () =>
      new Promise((_resolve, reject) => {
        cancel = () => reject(new Fault('CANCELLED'));
      }),
  );
  const client = await server.client();
  const abort = new AbortController();
  const call = client.call('exec.run', { command: 'sleep 100' }, { signal: abort.signal });
  await server.until('the call', () => server.seen('exec.run').length === 1);
  abort.abort();
  await server.until('the cancel', () => server.notices.length === 1);
  expect(server.notices).toEqual([{ method: '$/cancelRequest', params: { id: server.seen('exec.run')[0]?.id } }]);
  cancel();
  await expect(call).rejects.toMatchObject({ fault: 'CANCELLED' });
});

test('a call that is aborted before it is sent never reaches the gateway', async () => {
  const client = await server.client();
  const call = client.call('exec.run', { command: 'true' }, { signal: AbortSignal.abort() });
  await expect(call).rejects.toMatchObject({ fault: 'CANCELLED' });
  server.answer('slot.list', () => ({ slots: [] }));
  await client.slots();
  expect(server.seen('exec.run')).toEqual([]);
});

test('commands get a key of their own, and keep the one that the caller gave', async () => {
  server.answer('exec.start', () => ({ process: 'p1' }));
  const client = await server.client();
  await client.call('exec.start', { command: 'a' });
  await client.call('exec.start', { command: 'a' });
  await client.call('exec.start', { command: 'a', key: 'mine' });
  const keys = server.seen('exec.start').map(({ params }) => params['key']);
  expect(keys[2]).toBe('mine');
  expect(new Set(keys).size).toBe(3);
  expect(keys.every((key) => typeof key === 'string' && key.length > 0)).toBe(true);
});

test('after close every call says so, and close can be repeated', async () => {
  const client = await server.client();
  await client.close();
  await client.close();
  await expect(client.slots()).rejects.toBeInstanceOf(ConnectionError);
});

test('the token goes into a header in Node', async () => {
  await server.client({ headers: { 'x-more': 'yes' } });
  expect(server.peer.request.headers).toMatchObject({ authorization: 'Bearer token-of-the-test', 'x-more': 'yes' });
});

test("with a browser's WebSocket the token goes beside the subprotocol", async () => {
  const { WebSocket } = await import('ws');
  await server.client({ WebSocket });
  const { headers } = server.peer.request;
  expect(headers.authorization).toBeUndefined();
  const bearer = `slotcast.bearer.${Buffer.from('token-of-the-test').toString('base64url')}`;
  expect(headers['sec-websocket-protocol']?.split(/, */)).toEqual(['slotcast.v1', bearer]);
});

test('a refused credential is the Fault that the gateway sent', async () => {
  server.refusal = { status: 401, body: encodeErrorBody(new Fault('UNAUTHENTICATED', 'The token has expired.')) };
  await expect(server.client()).rejects.toMatchObject({ fault: 'UNAUTHENTICATED', message: 'The token has expired.' });
});

test('where no gateway is, the error names the address and what to do', async () => {
  const { url } = server;
  await server.close();
  await expect(connect({ url })).rejects.toThrow(new RegExp(`${url}.*ECONNREFUSED.*running`));
});

test('with validate a reply that breaks the contract is an error that names the field, and ends the client', async () => {
  server.answer('slot.acquire', () => ({ ...ACQUIRED, graceMs: 'soon' }));
  const client = await server.client({ validate: true });
  await expect(client.call('slot.acquire')).rejects.toThrow(/slot.acquire.*graceMs/);
  await expect(client.slots()).rejects.toBeInstanceOf(ContractError);
});

test('with validate a notification that breaks the contract ends the client', async () => {
  const client = await server.client({ validate: true });
  const closed = new Promise<{ error: Error }>((resolve) => client.on('closed', resolve));
  server.peer.socket.send('{"jsonrpc":"2.0","method":"watch.end","params":{"watch":7}}');
  expect((await closed).error).toBeInstanceOf(ContractError);
});
