// The wire itself, by a raw WebSocket: what other programs are written against.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { startGateway, type TestGateway, until } from '../support/gateway.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway?.close());

interface Refusal {
  status: number;
}

function upgrade(
  options: { headers?: Record<string, string>; protocols?: string[]; path?: string } = {},
): Promise<WebSocket | Refusal> {
  const { headers = { authorization: `Bearer ${gateway.token}` }, protocols = ['slotcast.v1'], path = '/ws' } = options;
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}${path}`, protocols, { headers });
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket));
    socket.once('unexpected-response', (_request, response) => resolve({ status: response.statusCode ?? 0 }));
    socket.once('error', reject);
  });
}

async function open(...args: Parameters<typeof upgrade>): Promise<WebSocket> {
  const socket = await upgrade(...args);
  if (!(socket instanceof WebSocket)) throw new Error(`refused with ${socket.status}`);
  return socket;
}

const reply = (socket: WebSocket): Promise<unknown> =>
  new Promise((resolve) => socket.once('message', (data) => resolve(JSON.parse(String(data)))));

async function exchange(text: string): Promise<unknown> {
  const socket = await open();
  const answer = reply(socket);
  socket.send(text);
  const value = await answer;
  socket.close();
  return value;
}

test('the subprotocol is slotcast.v1', async () => {
  const socket = await open();
  expect(socket.protocol).toBe('slotcast.v1');
  socket.close();
});

test('a browser may send the token as a subprotocol', async () => {
  const bearer = `slotcast.bearer.${Buffer.from(gateway.token).toString('base64url')}`;
  const socket = await open({ headers: {}, protocols: ['slotcast.v1', bearer] });
  expect(socket.protocol).toBe('slotcast.v1');
  socket.close();
});

test.each([
  ['no credential', { headers: {} }, 401],
  ['a wrong token', { headers: { authorization: 'Bearer nonsense' } }, 401],
  ['a token in the URL', { headers: {}, path: '/ws?token=x' }, 401],
])('%s is refused before the upgrade', async (_name, options, status) => {
  expect(await upgrade(options)).toEqual({ status });
});

test.each([
  ['a foreign origin', { origin: 'https://evil.example' }],
  ['the null origin', { origin: 'null' }],
  ['a look-alike origin', { origin: 'http://localhost.evil.example' }],
  ['a foreign host', { host: 'evil.example' }],
])('%s is refused with 403', async (_name, headers) => {
  expect(await upgrade({ headers: { authorization: `Bearer ${gateway.token}`, ...headers } })).toEqual({ status: 403 });
});

test.each([
  ['{"jsonrpc":', -32700, 'PARSE_ERROR'],
  ['[]', -32600, 'INVALID_REQUEST'],
  ['{"id":1,"method":"server.info"}', -32600, 'INVALID_REQUEST'],
  ['{"jsonrpc":"2.0","id":1,"method":"constructor"}', -32601, 'METHOD_NOT_FOUND'],
  ['{"jsonrpc":"2.0","id":1,"method":"__proto__"}', -32601, 'METHOD_NOT_FOUND'],
  ['{"jsonrpc":"2.0","id":1,"method":"exec.run","params":[1]}', -32602, 'INVALID_PARAMS'],
  ['{"jsonrpc":"2.0","id":1,"method":"slot.acquire","params":{"nonsense":1}}', -32602, 'INVALID_PARAMS'],
  ['{"jsonrpc":"2.0","id":1,"method":"exec.run","params":{"command":"true"}}', 1003, 'NOT_BOUND'],
])('%s is answered with %d', async (text, code, name) => {
  expect(await exchange(text)).toMatchObject({
    jsonrpc: '2.0',
    error: { code, data: { name, retry: expect.any(String) } },
  });
});

test('a batch runs in parallel and is answered as one array; notifications get no reply', async () => {
  const batch = [
    { jsonrpc: '2.0', id: 'a', method: 'server.info' },
    { jsonrpc: '2.0', method: 'nope' },
    7,
    { jsonrpc: '2.0', id: 'b', method: 'slot.list', params: {} },
  ];
  const answers = (await exchange(JSON.stringify(batch))) as {
    id: string | null;
    result?: unknown;
    error?: { code: number };
  }[];
  expect(answers).toHaveLength(3);
  expect(answers.find(({ id }) => id === 'a')?.result).toMatchObject({ name: 'slotcast', protocol: 1 });
  expect(answers.find(({ id }) => id === 'b')?.result).toHaveProperty('slots');
  expect(answers.find(({ id }) => id === null)?.error?.code).toBe(-32600);
});

test('$/cancelRequest ends the call with CANCELLED', async () => {
  const socket = await open({ path: '/ws?slot=slot_2' });
  const answer = reply(socket);
  socket.send('{"jsonrpc":"2.0","id":5,"method":"exec.run","params":{"command":"sleep 1000"}}');
  socket.send('{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":5}}');
  expect(await answer).toMatchObject({ id: 5, error: { code: 1005 } });
  socket.close();
});

test('an id that is in flight is refused', async () => {
  const socket = await open({ path: '/ws?slot=slot_3' });
  const answers: { id: number; error?: { code: number } }[] = [];
  socket.on('message', (data) => answers.push(JSON.parse(String(data))));
  const both = new Promise<void>((resolve) => socket.on('message', () => answers.length === 2 && resolve()));
  const call = '{"jsonrpc":"2.0","id":1,"method":"exec.run","params":{"command":"sleep 0.3"}}';
  socket.send(call);
  socket.send(call);
  await both;
  expect(answers.map(({ error }) => error?.code)).toEqual([-32600, undefined]);
  socket.close();
});

test('rpc.discover gives an OpenRPC document of every method', async () => {
  const answer = (await exchange('{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}')) as {
    result: { openrpc: string; methods: { name: string }[] };
  };
  expect(answer.result.openrpc).toMatch(/^1\./);
  expect(answer.result.methods.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['exec.run', 'terminal.run', 'watch.start']),
  );
});

test('a viewer watches but may not drive, and a token for one slot sees only that one', async () => {
  const { mint } = gateway;
  const viewer = await gateway.client(await mint({ role: 'viewer', slot: 'slot_0', ttlMs: 60_000 }));
  expect((await viewer.call('slot.list', {})).slots.map(({ slot }) => slot)).toEqual(['slot_0']);
  await expect(viewer.call('slot.acquire', {})).rejects.toMatchObject({ fault: 'FORBIDDEN' });
  await expect(viewer.call('watch.start', { slot: 'slot_1' })).rejects.toMatchObject({ fault: 'FORBIDDEN' });
  await expect(viewer.call('watch.start', { slot: 'slot_99' })).rejects.toMatchObject({ fault: 'FORBIDDEN' });
  await viewer.call('watch.start', { slot: 'slot_0' });
  const agent = await gateway.client(await mint({ role: 'agent', slot: 'slot_1', ttlMs: 60_000 }));
  expect((await agent.call('slot.acquire', {})).slot).toBe('slot_1');
});

test('/healthz, /readyz and /metrics answer', async () => {
  expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
  expect((await fetch(`${gateway.url}/readyz`)).status).toBe(200);
  const metrics = await fetch(`${gateway.url}/metrics`, { headers: { authorization: `Bearer ${gateway.token}` } });
  expect(await metrics.text()).toMatch(/slotcast_/);
});

test('a batch whose replies are too large for one message is refused in part, and the gateway lives', async () => {
  const socket = await open({ path: '/ws?slot=slot_0' });
  const ask = (message: unknown): Promise<unknown> => {
    const answer = reply(socket);
    socket.send(JSON.stringify(message));
    return answer;
  };
  const params = { command: 'head -c 16777216 /dev/zero', maxOutputBytes: 16 * 1024 * 1024, encoding: 'base64' };
  const run = (await ask({ jsonrpc: '2.0', id: 1, method: 'exec.run', params })) as { result: { process: string } };
  const { process } = run.result;
  const batch = [1, 2, 3, 4].map((id) => ({
    jsonrpc: '2.0',
    id,
    method: 'exec.wait',
    params: { process, encoding: 'base64' },
  }));
  const answers = (await ask(batch)) as { error?: { data: { name: string } } }[];
  expect(answers.map(({ error }) => error?.data.name ?? 'ok')).toEqual(expect.arrayContaining(['ok', 'TOO_LARGE']));
  socket.close();
});

test('a call that ends while its connection is closed for a bad frame does not keep its slot', async () => {
  const small = await startGateway('--slots', '1');
  const client = await small.client();
  for (let time = 0; time < 5; time++) {
    const headers = { authorization: `Bearer ${small.token}` };
    const socket = new WebSocket(`${small.url.replace('http', 'ws')}/ws`, ['slotcast.v1'], { headers });
    await new Promise((resolve) => socket.once('open', resolve));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.send('{"jsonrpc":"2.0","id":1,"method":"slot.acquire","params":{"graceMs":0}}');
    const noText = Buffer.from([0x22, 0xff, 0x22]);
    socket.send(noText, { binary: false });
    expect(await closed).toBe(1007);
    // Whoever is closed but not let go is cut off after 30 s.
    const isFree = async (): Promise<boolean> => (await client.call('slot.list', {})).slots[0]?.state === 'free';
    await until('the slot is free again', isFree);
  }
  await small.close();
});
