import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Client, UnconfirmedError } from '../../../client/index.ts';
import { pauseMs } from '../../../client/link.ts';
import { encodeErrorBody } from '../../../protocol/envelope.ts';
import { Fault } from '../../../protocol/fault.ts';
import type { SlotInfo } from '../../../protocol/slot.ts';
import { ACQUIRED, SILENCE, WireServer } from './wire-server.ts';

let server: WireServer;
beforeEach(async () => {
  server = await WireServer.open();
});
afterEach(() => server.close());

const next = <T>(client: Client, name: Parameters<Client['on']>[0]): Promise<T> =>
  new Promise((resolve) => client.on(name, (value) => resolve(value as T)));

const ended = { outcome: 'exited', exitCode: 0, stdout: 'done\n', stderr: '' };

test('a command whose reply was lost is sent again with the same key after the lease was resumed', async () => {
  const client = await server.client();
  const slot = await client.acquire();
  server.answer('exec.run', (_params, { peer }) => (peer === server.peers[0] ? SILENCE : ended));
  const running = slot.exec.run({ command: 'make' });
  await server.until('the call', () => server.seen('exec.run').length === 1);
  const resumed = next(client, 'resumed');
  server.peer.socket.terminate();
  expect(await running).toMatchObject({ stdout: 'done\n' });
  expect(await resumed).toMatchObject({ resumed: true });
  const [first, second] = server.seen('exec.run');
  expect(second?.params).toEqual(first?.params);
  const order = server.calls.map(({ method }) => method);
  expect(order).toEqual(['slot.acquire', 'exec.run', 'slot.acquire', 'exec.run']);
  expect(server.calls[2]?.params).toMatchObject({ resume: 'secret' });
});

test.each([
  ['exec.write', { process: 'p1', data: 'x' }],
  ['terminal.keys', { keys: ['Enter'] }],
  ['file.move', { from: 'a', to: 'b' }],
] as const)('%s, done twice, could do harm: it is rejected as unknown and not sent again', async (method, params) => {
  const client = await server.client();
  await client.acquire();
  server.answer(method, () => SILENCE);
  const call = client.call(method, params as never);
  await server.until('the call', () => server.seen(method).length === 1);
  server.peer.socket.terminate();
  const error = await call.catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(UnconfirmedError);
  expect(error).toMatchObject({ method, message: expect.stringContaining('unknown whether it took effect') });
  await next(client, 'connected');
  expect(server.seen(method)).toHaveLength(1);
});

test('calls that are made while the connection is away wait for it', async () => {
  const client = await server.client();
  await client.acquire();
  server.answer('exec.write', () => ({}));
  const down = next(client, 'disconnected');
  server.peer.socket.terminate();
  expect(await down).toMatchObject({ code: 1006, willReconnect: true });
  expect(client.isConnected).toBe(false);
  expect(await client.call('exec.write', { process: 'p1', data: 'x' })).toEqual({});
  expect(server.seen('exec.write')[0]?.peer).toBe(server.peers[1]);
});

test('when the lease is gone, what was meant for its slot fails and the slot is told lost', async () => {
  const client = await server.client();
  const slot = await client.acquire();
  const { exit } = await start(slot);
  server.answer('exec.run', () => SILENCE);
  server.answer('slot.list', () => ({ slots: [] }));
  const running = slot.exec.run({ command: 'make' });
  await server.until('the call', () => server.seen('exec.run').length === 1);
  server.answer('slot.acquire', () => {
    throw new Fault('RESUME_GONE', 'That lease has ended.');
  });
  const lost = next(client, 'lost');
  server.peer.socket.terminate();
  expect(await lost).toMatchObject({ slot: 'slot_0', fault: { fault: 'RESUME_GONE' } });
  await expect(running).rejects.toMatchObject({ fault: 'RESUME_GONE' });
  await expect(exit).rejects.toMatchObject({ fault: 'RESUME_GONE' });
  await expect(slot.exec.run({ command: 'x' })).rejects.toMatchObject({ fault: 'RESUME_GONE' });
  expect(await client.slots()).toEqual([]);
  expect(server.seen('exec.run')).toHaveLength(1);
});

test('a release whose reply was lost is done when the lease is gone afterwards', async () => {
  const client = await server.client();
  const slot = await client.acquire();
  server.answer('slot.release', () => SILENCE);
  const released = slot.release();
  await server.until('the call', () => server.seen('slot.release').length === 1);
  server.answer('slot.acquire', () => {
    throw new Fault('RESUME_GONE');
  });
  server.peer.socket.terminate();
  await released;
});

test('a gateway that is just starting is asked again until the lease can be resumed', async () => {
  const client = await server.client();
  await client.acquire();
  let tries = 0;
  server.answer('slot.acquire', () => {
    if (++tries < 3) throw new Fault('SHUTTING_DOWN');
    return { slot: 'slot_0', resumed: true };
  });
  server.peer.socket.terminate();
  await next(client, 'resumed');
  expect(tries).toBe(3);
});

test('a credential that is not accepted any more ends the client instead of being tried again', async () => {
  const client = await server.client();
  const closed = next<{ error: Error }>(client, 'closed');
  server.refusal = { status: 401, body: encodeErrorBody(new Fault('UNAUTHENTICATED', 'The token has expired.')) };
  server.peer.socket.terminate();
  expect((await closed).error).toMatchObject({ fault: 'UNAUTHENTICATED' });
  await expect(client.slots()).rejects.toMatchObject({ fault: 'UNAUTHENTICATED' });
});

test('a connection that is closed with 4401 is not opened again', async () => {
  const client = await server.client();
  const down = next(client, 'disconnected');
  server.peer.socket.close(4401, 'The token was revoked.');
  expect(await down).toMatchObject({ code: 4401, willReconnect: false });
  await expect(client.slots()).rejects.toMatchObject({ fault: 'UNAUTHENTICATED', message: 'The token was revoked.' });
});

const taken = () => {
  throw new Fault('SLOT_BUSY', 'A person drives slot_0.', { takenOver: true });
};
const info = (state: Partial<SlotInfo>) => ({ slot: 'slot_0', cast: ACQUIRED.cast, connected: true, ...state });

test('a lease that was taken over is waited for, and what means its slot is sent when it is given back', async () => {
  const client = await server.client();
  const slot = await client.acquire();
  server.answer('exec.run', (_params, { peer }) => (peer === server.peers[0] ? SILENCE : ended));
  server.answer('slot.list', () => ({ slots: [] }));
  server.answer('slot.info', () => info({ takenOver: true }));
  server.answer('slot.acquire', taken);
  const before = slot.exec.run({ command: 'before' });
  await server.until('the call', () => server.seen('exec.run').length === 1);
  const takenOver = next(client, 'takenOver');
  const lost: unknown[] = [];
  client.on('lost', (event) => lost.push(event));
  const connected = next(client, 'connected');
  server.peer.socket.close(4409, 'slot_0 was taken over');
  expect(await takenOver).toEqual({ slot: 'slot_0' });
  expect(await connected).toEqual({ resumed: false });
  const meanwhile = slot.exec.run({ command: 'meanwhile' });
  // What means no slot goes on.
  expect(await client.slots()).toEqual([]);
  await server.until('some tries', () => server.seen('slot.acquire').length >= 4);
  expect(server.seen('exec.run')).toHaveLength(1);
  const order: string[] = [];
  client.on('resumed', () => order.push('resumed'));
  const givenBack = next(client, 'givenBack').then(() => order.push('givenBack'));
  server.answer('slot.acquire', () => ({ ...ACQUIRED, resumed: true }));
  expect(await Promise.all([before, meanwhile])).toMatchObject([{ stdout: 'done\n' }, { stdout: 'done\n' }]);
  await givenBack;
  expect(order).toEqual(['resumed', 'givenBack']);
  expect(lost).toEqual([]);
  expect(server.peers).toHaveLength(2);
});

test('a connection that is lost while the slot is taken over does not end the waiting', async () => {
  const client = await server.client();
  const slot = await client.acquire();
  server.answer('exec.list', () => ({ processes: [] }));
  server.answer('slot.acquire', taken);
  const takenOver: unknown[] = [];
  client.on('takenOver', (event) => takenOver.push(event));
  // The take-over itself was not heard of.
  server.peer.socket.terminate();
  await server.until('the first try', () => server.seen('slot.acquire').length >= 2);
  server.peer.socket.terminate();
  await server.until('the next try', () => server.peers.length === 3 && server.seen('slot.acquire').length >= 4);
  server.answer('slot.acquire', () => ({ ...ACQUIRED, resumed: true }));
  expect(await slot.exec.list()).toEqual([]);
  expect(takenOver).toEqual([{ slot: 'slot_0' }]);
});

test('when a lease ends while it is taken over, it is lost and what waited for it fails', async () => {
  const client = await server.client();
  const slot = await client.acquire();
  server.answer('slot.info', () => info({ takenOver: true }));
  server.answer('slot.acquire', taken);
  const lost = next(client, 'lost');
  server.peer.socket.close(4409);
  const waiting = slot.exec.run({ command: 'x' });
  await server.until('a try', () => server.seen('slot.acquire').length >= 2);
  server.answer('slot.acquire', () => {
    throw new Fault('RESUME_GONE');
  });
  expect(await lost).toMatchObject({ slot: 'slot_0', fault: { fault: 'RESUME_GONE' } });
  await expect(waiting).rejects.toMatchObject({ fault: 'RESUME_GONE' });
});

test('who does not want to wait for a slot that is taken over acquires another one', async () => {
  const client = await server.client();
  const slot = await client.acquire();
  server.answer('slot.info', () => info({ takenOver: true }));
  server.answer('exec.list', () => ({ processes: [] }));
  server.answer('slot.acquire', ({ resume }) => (resume === undefined ? { ...ACQUIRED, slot: 'slot_1' } : taken()));
  const connected = next(client, 'connected');
  server.peer.socket.close(4409);
  await connected;
  const waiting = slot.exec.list();
  const other = await client.acquire();
  await expect(waiting).rejects.toMatchObject({ fault: 'LEASE_LOST' });
  await expect(slot.exec.list()).rejects.toMatchObject({ fault: 'LEASE_LOST' });
  expect(await other.exec.list()).toEqual([]);
});

test('a lease that another connection has resumed by the same secret is lost at once and never fought for', async () => {
  const client = await server.client();
  const slot = await client.acquire();
  const lost = next(client, 'lost');
  server.answer('slot.info', () => info({ takenOver: false }));
  server.peer.socket.close(4409, 'slot_0 was taken over');
  expect(await lost).toMatchObject({ slot: 'slot_0', fault: { fault: 'LEASE_LOST' } });
  await next(client, 'connected');
  expect(server.seen('slot.acquire')).toHaveLength(1);
  await expect(slot.terminal.run({ command: 'x' })).rejects.toMatchObject({ fault: 'LEASE_LOST' });
});

test('a message that is too large for the gateway fails alone, and the others are sent again', async () => {
  const client = await server.client();
  server.answer('slot.list', (_params, { peer }) => (peer === server.peers[0] ? SILENCE : { slots: [] }));
  const list = client.slots();
  const large = client.call('exec.run', { command: 'x'.repeat(2_000_000) });
  await expect(large).rejects.toMatchObject({ fault: 'TOO_LARGE' });
  expect(await list).toEqual([]);
});

test('without reconnect the loss of the connection is final', async () => {
  const client = await server.client({ reconnect: false });
  server.answer('slot.list', () => SILENCE);
  const list = client.slots();
  await server.until('the call', () => server.seen('slot.list').length === 1);
  server.peer.socket.terminate();
  await expect(list).rejects.toMatchObject({ name: 'ConnectionError', code: 1006 });
  await expect(client.slots()).rejects.toMatchObject({ name: 'ConnectionError' });
});

test('close ends the waiting for a connection at once', async () => {
  const client = await server.client({ random: () => 0.99 });
  const down = next(client, 'disconnected');
  server.peer.socket.terminate();
  await down;
  const waiting = client.slots();
  await client.close();
  await expect(waiting).rejects.toMatchObject({ message: 'The client was closed.' });
  expect(server.peers).toHaveLength(1);
});

test('a slot that was released never lets a call through to the next one', async () => {
  server.answer('slot.release', () => ({}));
  const client = await server.client();
  const first = await client.acquire();
  await first.release();
  await client.acquire();
  await expect(first.exec.run({ command: 'rm -rf .' })).rejects.toMatchObject({ fault: 'LEASE_LOST' });
  expect(server.seen('exec.run')).toEqual([]);
});

test('pauses double from half a second to ten and are spread over half of that', () => {
  expect([0, 1, 2, 5, 50].map((tries) => pauseMs(tries, () => 0))).toEqual([250, 500, 1000, 5000, 5000]);
  expect(pauseMs(0, () => 0.999)).toBeLessThan(500);
  expect(pauseMs(9, () => 0.999)).toBeLessThan(10_000);
});

async function start(slot: Awaited<ReturnType<Client['acquire']>>) {
  server.answer('exec.start', () => ({ process: 'p1' }));
  return await slot.exec.start({ command: 'sleep 100' });
}
