// The outbox on a real pair of sockets: marks, and the goodbye to a peer that reads nothing.
import { createServer } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { Outbox, type OutboxOptions } from '../../../server/rpc/outbox.ts';
import { listen, until } from './harness.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function pair(options: OutboxOptions): Promise<{ outbox: Outbox; server: WebSocket; client: WebSocket }> {
  const http = createServer();
  const endpoint = new WebSocketServer({ server: http });
  const port = await listen(http);
  const connected = new Promise<WebSocket>((resolve) => endpoint.once('connection', resolve));
  const client = new WebSocket(`ws://127.0.0.1:${port}`);
  const server = await connected;
  await until(() => client.readyState === client.OPEN);
  closing.push(async () => {
    client.terminate();
    server.terminate();
    await new Promise((resolve) => http.close(resolve));
  });
  return { outbox: new Outbox(server, options), server, client };
}

const MIB = 1024 * 1024;

/** Sends until the kernel takes no more. */
function fill(outbox: Outbox, client: WebSocket, bytes: number): void {
  client.pause();
  while (outbox.bytes < bytes) outbox.send(Buffer.alloc(MIB));
}

test('below the high mark nobody waits; above it until the low one is reached', async () => {
  const { outbox, client } = await pair({ highBytes: 8 * MIB, lowBytes: 2 * MIB });
  outbox.send('x');
  await outbox.ready();
  fill(outbox, client, 16 * MIB);
  let bytesWhenReady = -1;
  const ready = outbox.ready().then(() => {
    bytesWhenReady = outbox.bytes;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(bytesWhenReady).toBe(-1);
  client.resume();
  await ready;
  expect(bytesWhenReady).toBeLessThanOrEqual(2 * MIB);
});

test('a peer that leaves too much is not read until it has caught up', async () => {
  const { outbox, server, client } = await pair({ fullBytes: 16 * MIB });
  fill(outbox, client, 16 * MIB);
  expect(server.isPaused).toBe(true);
  client.resume();
  await until(() => !server.isPaused);
});

test('a peer that takes nothing is let go with 4429, which it learns when it reads on in time', async () => {
  const { outbox, server, client } = await pair({ stuckMs: 20, slowestBytesPerSecond: 1000 * MIB });
  fill(outbox, client, 8 * MIB);
  let woken = false;
  void outbox.ready().then(() => {
    woken = true;
  });
  await until(() => server.readyState === server.CLOSING);
  expect(woken).toBe(false);
  const closed = new Promise((resolve) => client.once('close', resolve));
  client.resume();
  expect(await closed).toBe(4429);
  await until(() => woken);
});

test('one that never reads on is cut off', async () => {
  const { outbox, server, client } = await pair({ stuckMs: 20, slowestBytesPerSecond: 1000 * MIB, goodbyeMs: 20 });
  fill(outbox, client, 8 * MIB);
  await until(() => server.readyState === server.CLOSED);
  await outbox.ready();
});

test('a slow peer that goes on reading is not let go: it has more time for more bytes', async () => {
  const { outbox, server, client } = await pair({ highBytes: MIB, stuckMs: 200, slowestBytesPerSecond: 4 * MIB });
  fill(outbox, client, 24 * MIB);
  const startMs = performance.now();
  // Reads a little, again and again, for longer than a stuck peer has.
  while (outbox.bytes > MIB) {
    client.resume();
    await new Promise((resolve) => client.once('message', resolve));
    client.pause();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(performance.now() - startMs).toBeGreaterThan(200);
  expect(server.readyState).toBe(server.OPEN);
});
