// Calls over a real WebSocket: replies, batches, cancelling, limits, and what becomes of calls whose client is gone.
import { afterEach, describe, expect, test } from 'vitest';
import { Fault } from '../../../protocol/fault.ts';
import type { Context, Peer } from '../../../server/methods/context.ts';
import { type Gateway, type GatewayOptions, gate, startGateway, until } from './harness.ts';

const open: Gateway[] = [];
const start = async (options?: GatewayOptions): Promise<Gateway> => {
  const gateway = await startGateway(options);
  open.push(gateway);
  return gateway;
};
afterEach(async () => {
  await Promise.all(open.splice(0).map((gateway) => gateway.close()));
});

const slots = { slots: [] };
const request = (id: unknown, method: string, params?: unknown) => ({ jsonrpc: '2.0', id, method, params });

/** Ends when it is aborted. */
const untilAborted = ({ signal }: Context): Promise<never> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Fault('CANCELLED')));
  });

test('a call gets its reply, a bad message an error, and the connection stays', async () => {
  const gateway = await start({ handlers: { 'slot.list': async () => slots } });
  const client = await gateway.connect();
  expect(await client.call('slot.list')).toMatchObject({ result: slots });
  client.send('{"jsonrpc":');
  expect(await client.reply(null)).toMatchObject({ error: { code: -32700, data: { name: 'PARSE_ERROR' } } });
  expect(await client.call('slot.list', {})).toMatchObject({ result: slots });
});

test.each(['constructor', 'toString', '__proto__', 'hasOwnProperty', 'nope', ''])(
  'the method %j is not found',
  async (method) => {
    const client = await (await start()).connect();
    expect(await client.call(method)).toMatchObject({ error: { code: -32601 } });
  },
);

test('a notification has no reply, known or unknown, right or wrong', async () => {
  const called = gate();
  const gateway = await start({
    handlers: {
      'slot.list': async () => slots,
      'watch.stop': async () => {
        called.open();
        return {};
      },
    },
  });
  const client = await gateway.connect();
  client.send({ jsonrpc: '2.0', method: 'nope' });
  client.send({ jsonrpc: '2.0', method: 'watch.stop', params: { watch: 5 } });
  client.send({ jsonrpc: '2.0', method: 'watch.stop', params: { watch: 'w' } });
  await called.promise;
  await client.call('slot.list');
  expect(client.heard).toHaveLength(1);
});

test('a batch runs side by side and is answered by one array, without its notifications', async () => {
  const both = gate();
  let running = 0;
  const gateway = await start({
    handlers: {
      'slot.list': async () => {
        if (++running === 2) both.open();
        await both.promise;
        return slots;
      },
    },
  });
  const client = await gateway.connect();
  client.send([
    request(1, 'slot.list'),
    request('two', 'slot.list'),
    { jsonrpc: '2.0', method: 'nope' },
    5,
    request(1, 'slot.list'),
  ]);
  const replies = await client.hear<{ id: unknown; error?: { code: number } }[]>(Array.isArray);
  expect(replies.map(({ id, error }) => [id, error?.code])).toEqual([
    [1, undefined],
    ['two', undefined],
    [null, -32600],
    [1, -32600],
  ]);
});

test('a batch of notifications alone is answered by nothing', async () => {
  const gateway = await start({ handlers: { 'slot.list': async () => slots } });
  const client = await gateway.connect();
  client.send([{ jsonrpc: '2.0', method: 'nope' }]);
  await client.call('slot.list');
  expect(client.heard).toHaveLength(1);
});

test('an id that is in flight is refused for a second call, and free again after the reply', async () => {
  const release = gate();
  const gateway = await start({
    handlers: {
      'slot.list': async () => {
        await release.promise;
        return slots;
      },
    },
  });
  const client = await gateway.connect();
  client.send(request(1, 'slot.list'));
  client.send(request(1, 'slot.list'));
  client.send(request('1', 'slot.list'));
  await until(() => client.heard.length === 1);
  expect(client.heard[0]).toMatchObject({ id: 1, error: { code: -32600 } });
  release.open();
  await until(() => client.heard.length === 3);
  client.send(request(1, 'slot.list'));
  await until(() => client.heard.length === 4);
  expect(client.heard.slice(1)).toMatchObject([{ result: slots }, { result: slots }, { result: slots }]);
});

test('calls begin in the order that they were sent', async () => {
  const seen: string[] = [];
  const gateway = await start({
    handlers: {
      'watch.stop': async ({ watch }) => {
        seen.push(watch);
        return {};
      },
    },
  });
  const client = await gateway.connect();
  const names = Array.from({ length: 200 }, (_, index) => `w${index}`);
  await Promise.all(names.map((watch) => client.call('watch.stop', { watch })));
  expect(seen).toEqual(names);
});

test('$/cancelRequest ends that call and no other', async () => {
  const started: string[] = [];
  const gateway = await start({
    handlers: {
      'watch.stop': (call, context) => {
        started.push(call.watch);
        return untilAborted(context);
      },
    },
  });
  const client = await gateway.connect();
  client.send(request(1, 'watch.stop', { watch: 'a' }));
  client.send(request('1', 'watch.stop', { watch: 'b' }));
  for (const params of [{ id: 'other' }, {}, null, [1]])
    client.send({ jsonrpc: '2.0', method: '$/cancelRequest', params });
  client.send({ jsonrpc: '2.0', method: '$/cancelRequest', params: { id: 1 } });
  expect(await client.reply(1)).toMatchObject({ error: { code: 1005, data: { name: 'CANCELLED' } } });
  expect(client.heard.filter((message) => (message as { id: unknown }).id === '1')).toEqual([]);
  expect(started).toEqual(['a', 'b']);
});

test('more calls than may run at once are refused, the others go on', async () => {
  const release = gate();
  const gateway = await start({
    handlers: {
      'slot.list': async () => {
        await release.promise;
        return slots;
      },
    },
  });
  const client = await gateway.connect();
  for (let id = 0; id < 1025; id++) client.send(request(id, 'slot.list'));
  expect(await client.reply(1024)).toMatchObject({ error: { code: 1006, data: { name: 'RATE_LIMITED' } } });
  release.open();
  await until(() => client.heard.length === 1025);
  expect(await client.call('slot.list')).toMatchObject({ result: slots });
});

test('a client that sends without end is read slowly, and every call is answered', async () => {
  const gateway = await start({ handlers: { 'watch.stop': async () => ({}) } });
  const client = await gateway.connect();
  const text = JSON.stringify({ jsonrpc: '2.0', method: 'watch.stop', params: { watch: 'w' } });
  for (let sent = 0; sent < 25_000; sent++) client.send(text);
  expect(await client.call('watch.stop', { watch: 'last' })).toMatchObject({ result: {} });
  expect(gateway.records).toHaveLength(25_001);
});

describe('frames that are no calls close the connection', () => {
  test('a binary frame: 1008', async () => {
    const client = await (await start()).connect();
    client.socket.send(Buffer.from('{}'));
    expect((await client.closed).code).toBe(1008);
  });

  test('invalid UTF-8: 1007', async () => {
    const client = await (await start()).connect();
    client.socket.send(Buffer.from([0xc3, 0x28]), { binary: false });
    expect((await client.closed).code).toBe(1007);
  });

  test('a message that is too large: 1009', async () => {
    const client = await (await start()).connect();
    client.socket.send('x'.repeat(32 * 1024 * 1024 + 1));
    expect((await client.closed).code).toBe(1009);
  });

  test('fragments without end', async () => {
    const client = await (await start()).connect();
    client.socket.on('error', () => {});
    for (let sent = 0; sent < 20_000; sent++) client.socket.send('x', { fin: false });
    expect((await client.closed).code).toBeGreaterThan(1000);
  });
});

test('a lost connection ends waits, and lets what runs go on', async () => {
  const aborted: string[] = [];
  const gateway = await start({
    handlers: {
      'exec.wait': (_call, { signal }) => {
        signal.addEventListener('abort', () => aborted.push('exec.wait'));
        return new Promise(() => {});
      },
      'exec.run': (_call, { signal }) => {
        signal.addEventListener('abort', () => aborted.push('exec.run'));
        return new Promise(() => {});
      },
      'slot.list': async (_call, { peer }) => {
        peer.lease = { slot: 'slot_0', ended: false } as unknown as Peer['lease'];
        return slots;
      },
    },
  });
  const client = await gateway.connect();
  await client.call('slot.list');
  client.send(request(1, 'exec.run', { command: 'make' }));
  client.send(request(2, 'exec.wait', { process: 'p1' }));
  await client.call('slot.list');
  client.close();
  await until(() => aborted.length > 0);
  await until(() => gateway.endpoint.size === 0);
  expect(aborted).toEqual(['exec.wait']);
});

test('a peer tells its end once to everybody who asked, also to who asks late', async () => {
  const told: string[] = [];
  let peer: Peer | undefined;
  const gateway = await start({
    handlers: {
      'slot.list': async (_call, context) => {
        peer = context.peer;
        peer.onClose(() => told.push('early'));
        return slots;
      },
    },
  });
  const client = await gateway.connect();
  await client.call('slot.list');
  peer?.close(4409, `taken over ${'x'.repeat(500)}`);
  expect(await client.closed).toMatchObject({ code: 4409, reason: expect.stringMatching(/^taken over x+$/) });
  await until(() => told.length === 1);
  peer?.onClose(() => told.push('late'));
  expect(told).toEqual(['early', 'late']);
});

describe('a slow client', () => {
  const stream = (notified: { bytes: number; ended: boolean }): NonNullable<GatewayOptions['handlers']> => ({
    'watch.stop': async (_call, { peer }) => {
      const data = 'x'.repeat(64 * 1024);
      peer.onClose(() => {
        notified.ended = true;
      });
      while (!notified.ended && notified.bytes < 256 * 1024 * 1024) {
        await peer.notify('watch.end', { watch: 'w', reason: data });
        notified.bytes += data.length;
      }
      return {};
    },
  });

  test('slows its own stream: little waits for it, and all of it comes when it reads on', async () => {
    const notified = { bytes: 0, ended: false };
    const gateway = await start({ handlers: stream(notified) });
    const client = await gateway.connect();
    const other = await gateway.connect();
    client.send(request(1, 'watch.stop', { watch: 'w' }));
    await client.hear(() => true);
    client.socket.pause();
    let before = -1;
    await until(() => {
      const rests = notified.bytes === before;
      before = notified.bytes;
      return rests && before > 0;
    });
    // What the kernel's two buffers take, and the mark.
    expect(notified.bytes).toBeLessThan(32 * 1024 * 1024);
    expect((await other.call('nope')).error?.code).toBe(-32601);
    const heard = client.heard.length;
    client.socket.resume();
    await until(() => client.heard.length > heard + 100);
    expect(client.socket.readyState).toBe(client.socket.OPEN);
  });

  test('that takes nothing at all is let go, and its streams end', async () => {
    const notified = { bytes: 0, ended: false };
    const outbox = { stuckMs: 50, slowestBytesPerSecond: 100 * 1024 * 1024, goodbyeMs: 50 };
    const gateway = await start({ handlers: stream(notified), outbox });
    const client = await gateway.connect();
    client.send(request(1, 'watch.stop', { watch: 'w' }));
    await client.hear(() => true);
    client.socket.pause();
    await until(() => gateway.endpoint.size === 0);
    expect(notified.ended).toBe(true);
    await until(() => gateway.records.length === 1);
  });
});
