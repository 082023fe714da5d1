// The door of all WebSockets: who is refused before the upgrade and how, and what ends an open connection.
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { Fault } from '../../../protocol/fault.ts';
import type { Peer } from '../../../server/methods/context.ts';
import {
  type ConnectOptions,
  type Gateway,
  type GatewayOptions,
  gate,
  Refused,
  startGateway,
  until,
} from './harness.ts';

const open: Gateway[] = [];
const start = async (options?: GatewayOptions): Promise<Gateway> => {
  const gateway = await startGateway(options);
  open.push(gateway);
  return gateway;
};
afterEach(async () => {
  await Promise.all(open.splice(0).map((gateway) => gateway.close()));
});

async function refusal(gateway: Gateway, options: ConnectOptions): Promise<[number, string]> {
  try {
    (await gateway.connect(options)).close();
  } catch (error) {
    if (error instanceof Refused) return [error.status, error.body.error.data.name];
    throw error;
  }
  return [101, 'let in'];
}

const bearer = (token: string): string => `slotcast.bearer.${Buffer.from(token).toString('base64url')}`;

test('a token gets in by header, by subprotocol and by cookie, and the subprotocol with it is never echoed', async () => {
  const gateway = await start();
  const { admin } = gateway;
  const ways: ConnectOptions[] = [
    {},
    { token: null, protocols: ['slotcast.v1', bearer(admin)] },
    { token: null, protocols: [bearer(admin), 'slotcast.v1'] },
    { token: null, headers: { cookie: `slotcast=${admin}` } },
  ];
  for (const way of ways) {
    const client = await gateway.connect(way);
    expect(client.socket.protocol).toBe('slotcast.v1');
    client.close();
  }
});

test('a plain client without subprotocol is let in, one that offers only others is not', async () => {
  const gateway = await start();
  const client = await gateway.connect({ protocols: [] });
  expect(client.socket.protocol).toBe('');
  expect((await client.call('nope')).error?.code).toBe(-32601);
  expect(await refusal(gateway, { protocols: ['other.v9'] })).toEqual([400, 'INVALID_REQUEST']);
});

describe('refused before the upgrade', () => {
  test.each<[string, ConnectOptions, [number, string]]>([
    ['no credential', { token: null }, [401, 'UNAUTHENTICATED']],
    ['a wrong one', { token: 'wrong' }, [401, 'UNAUTHENTICATED']],
    ['one in the URL', { path: '/ws?token=x' }, [401, 'UNAUTHENTICATED']],
    ['a foreign origin', { headers: { origin: 'https://evil.example' } }, [403, 'FORBIDDEN']],
    ['origin null', { headers: { origin: 'null' } }, [403, 'FORBIDDEN']],
    ['a look-alike origin', { headers: { origin: 'http://localhost.evil.example' } }, [403, 'FORBIDDEN']],
    ['an origin on another port', { headers: { origin: 'http://127.0.0.1:1' } }, [403, 'FORBIDDEN']],
    ['a foreign host', { headers: { host: 'evil.example' } }, [403, 'FORBIDDEN']],
    ['another path', { path: '/other' }, [404, 'METHOD_NOT_FOUND']],
    ['a path that is another host', { path: '//' }, [404, 'METHOD_NOT_FOUND']],
    ['a foreign origin, even without credential', { token: null, headers: { origin: 'null' } }, [403, 'FORBIDDEN']],
  ])('%s', async (_name, options, expected) => {
    expect(await refusal(await start(), options)).toEqual(expected);
  });

  test('an expired and a revoked token', async () => {
    const gateway = await start();
    const { token: expired } = await gateway.tokens.mint({ role: 'admin', slot: null, ttlMs: -1000 });
    const revoked = await gateway.tokens.mint({ role: 'admin', slot: null, ttlMs: null });
    await gateway.tokens.revoke(revoked.id);
    expect(await refusal(gateway, { token: expired })).toEqual([401, 'UNAUTHENTICATED']);
    expect(await refusal(gateway, { token: revoked.token })).toEqual([401, 'UNAUTHENTICATED']);
  });

  test('many wrong tokens, which are not even looked at after a while; none of them is logged', async () => {
    const gateway = await start();
    (await gateway.connect()).close();
    const canary = 'CANARY-b1946ac9';
    const faults: string[] = [];
    for (let guess = 0; guess < 40; guess++) faults.push((await refusal(gateway, { token: `${canary}${guess}` }))[1]);
    expect(faults.slice(0, 20)).toEqual(Array(20).fill('UNAUTHENTICATED'));
    expect(faults.slice(-10)).toEqual(Array(10).fill('RATE_LIMITED'));
    expect(await refusal(gateway, {})).toEqual([101, 'let in']);
    expect(gateway.logged.join('')).not.toContain(canary);
  });
});

test('the page of the gateway itself and of an allowed name get in', async () => {
  const gateway = await start();
  for (const origin of [`http://localhost:${gateway.port}`, 'https://allowed.example']) {
    expect(await refusal(gateway, { headers: { origin } })).toEqual([101, 'let in']);
  }
});

test('compression is not negotiated', async () => {
  const gateway = await start();
  const client = await gateway.connect({ ws: { perMessageDeflate: true } });
  expect(client.socket.extensions).toBe('');
});

test.each([
  ['a body', 'Content-Length: 5\r\n', 'hello'],
  ['a chunked body', 'Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n'],
  ['frames before the reply', '', '\u0081\u0080abcd'],
])('a handshake with %s is refused and closed', async (_name, header, body) => {
  const gateway = await start();
  const reply = await raw(
    gateway.port,
    `GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
      `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer ${gateway.admin}\r\n${header}\r\n${body}`,
  );
  expect(reply).toMatch(/^HTTP\/1.1 400 /);
});

test('an upgrade to something else is refused', async () => {
  const gateway = await start();
  const reply = await raw(
    gateway.port,
    `GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nAuthorization: Bearer ${gateway.admin}\r\n\r\n`,
  );
  expect(reply).toMatch(/^HTTP\/1.1 400 /);
});

test('an open connection ends with 4401 when its token expires or is revoked', async () => {
  const gateway = await start();
  const short = await gateway.tokens.mint({ role: 'viewer', slot: null, ttlMs: 300 });
  const revoked = await gateway.tokens.mint({ role: 'viewer', slot: null, ttlMs: null });
  const [first, second, other] = await Promise.all([
    gateway.connect({ token: short.token }),
    gateway.connect({ token: revoked.token }),
    gateway.connect(),
  ]);
  await gateway.tokens.revoke(revoked.id);
  expect(await second?.closed).toEqual({ code: 4401, reason: 'The token was revoked.' });
  expect(await first?.closed).toEqual({ code: 4401, reason: 'The token has expired.' });
  expect(other?.socket.readyState).toBe(WebSocket.OPEN);
});

test('a connection that answers no ping is cut off, one that does stays', async () => {
  const gateway = await start({ endpoint: { pingMs: 40 } });
  const dead = await gateway.connect({ ws: { autoPong: false } });
  const alive = await gateway.connect();
  expect((await dead.closed).code).toBe(1006);
  let pings = 0;
  alive.socket.on('ping', () => pings++);
  await until(() => pings >= 4);
  expect(gateway.endpoint.size).toBe(1);
});

test('viewers can not take the places that are kept for agents', async () => {
  const gateway = await start({ endpoint: { maxSockets: 3, reservedForAgents: 1 } });
  const { token: viewer } = await gateway.tokens.mint({ role: 'viewer', slot: null, ttlMs: null });
  await gateway.connect({ token: viewer });
  const second = await gateway.connect({ token: viewer });
  expect(await refusal(gateway, { token: viewer })).toEqual([429, 'RATE_LIMITED']);
  const agent = await gateway.connect();
  expect(await refusal(gateway, {})).toEqual([429, 'RATE_LIMITED']);
  agent.close();
  second.close();
  await until(() => gateway.endpoint.size === 1);
  expect(await refusal(gateway, { token: viewer })).toEqual([101, 'let in']);
});

test('going down says 4503 to everybody and takes nobody any more', async () => {
  const gateway = await start();
  const clients = await Promise.all([gateway.connect(), gateway.connect()]);
  await gateway.endpoint.close();
  for (const client of clients) expect((await client.closed).code).toBe(4503);
  expect(await refusal(gateway, {})).toEqual([503, 'SHUTTING_DOWN']);
});

describe('?slot=', () => {
  test('binds before the first call is read', async () => {
    const bound = gate();
    const order: string[] = [];
    const gateway = await start({
      bind: async (peer: Peer, slot) => {
        await bound.promise;
        order.push(`bound ${slot} ${peer.grant.role}`);
      },
      handlers: {
        'slot.list': async () => {
          order.push('called');
          return { slots: [] };
        },
      },
    });
    const client = await gateway.connect({ path: '/ws?slot=slot_3' });
    const reply = client.call('slot.list');
    client.socket.ping();
    bound.open();
    await reply;
    expect(order).toEqual(['bound slot_3 admin', 'called']);
  });

  test('ends the connection with the code of the fault when the slot can not be had', async () => {
    const gateway = await start({
      bind: async () => {
        throw new Fault('SLOT_BUSY', 'slot_3 is leased.');
      },
    });
    const client = await gateway.connect({ path: '/ws?slot=slot_3' });
    expect(await client.closed).toEqual({ code: 4409, reason: 'slot_3 is leased.' });
  });

  test('is refused to a viewer, and to a token of another slot', async () => {
    const gateway = await start();
    const viewer = await gateway.tokens.mint({ role: 'viewer', slot: null, ttlMs: null });
    const other = await gateway.tokens.mint({ role: 'agent', slot: 'slot_0', ttlMs: null });
    const path = '/ws?slot=slot_3';
    expect(await refusal(gateway, { path, token: viewer.token })).toEqual([403, 'FORBIDDEN']);
    expect(await refusal(gateway, { path, token: other.token })).toEqual([403, 'FORBIDDEN']);
    expect(await refusal(gateway, { path: '/ws?slot=slot_0', token: other.token })).toEqual([101, 'let in']);
  });
});

/** What comes back for these bytes until the other side closes. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text, 'latin1'));
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
    socket.on('error', reject);
  });
}
