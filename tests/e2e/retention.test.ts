// Recordings that go by themselves, and the pin that keeps one, as a user sees them.
import { afterEach, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { startGateway, type TestGateway, until } from '../support/gateway.ts';

let gateway: TestGateway;
afterEach(() => gateway?.close());

/** A recording of some megabytes. */
async function record(agent: Client, slot: string): Promise<string> {
  const { cast } = await agent.call('slot.acquire', { slot });
  await agent.call('terminal.run', { command: 'head -c 3000000 /dev/urandom | base64' });
  await agent.call('slot.release', {});
  return cast;
}

const casts = async (client: Client): Promise<string[]> => (await client.cast.list()).map(({ cast }) => cast).sort();

test('the oldest recordings go when all are too large, those that are read or pinned do no harm, and are no more found', async () => {
  gateway = await startGateway('--keep-casts', '30d,9MB');
  const agent = await gateway.client();
  const pinned = await record(agent, 'slot_0');
  await agent.cast.pin(pinned);
  expect(await agent.cast.info(pinned)).toMatchObject({ pinned: true });
  const oldest = await record(agent, 'slot_1');
  const headers = { authorization: `Bearer ${gateway.token}` };
  // Begun before it is removed, and read afterwards.
  const download = await fetch(`${gateway.url}/casts/${oldest}.cast`, { headers });
  const live = await (await gateway.client()).acquire();
  const newest = await record(agent, 'slot_1');
  await until('the oldest is removed', async () => !(await casts(agent)).includes(oldest), 40_000);
  expect(await casts(agent)).toEqual([pinned, newest, live.cast].sort());
  const bytes = (await download.arrayBuffer()).byteLength;
  expect(bytes).toBe(Number(download.headers.get('content-length')));
  for (const path of [`${oldest}.cast`, `${oldest}/index.json`, `${oldest}/segment-0.json`]) {
    const reply = await fetch(`${gateway.url}/casts/${path}`, { headers });
    expect(reply.status).toBe(404);
    expect(await reply.text()).toContain('CAST_NOT_FOUND');
  }
  await expect(agent.cast.seek(oldest, 1)).rejects.toMatchObject({ fault: 'CAST_NOT_FOUND' });
  await expect(agent.cast.pin(oldest)).rejects.toMatchObject({ fault: 'CAST_NOT_FOUND' });
  // Pins outlive the gateway, and count.
  await gateway.restart();
  const again = await gateway.client();
  expect((await again.cast.info(pinned)).pinned).toBe(true);
}, 90_000);

test('a viewer can not pin, and an agent of one slot its own recordings alone', async () => {
  gateway = await startGateway();
  const agent = await gateway.client();
  const { cast } = await agent.call('slot.acquire', { slot: 'slot_0' });
  const client = async (order: { role: 'viewer' | 'agent'; slot?: string; cast?: string }) =>
    await gateway.client(await gateway.mint({ ...order, ttlMs: 60_000 }));
  for (const order of [{ role: 'viewer' }, { role: 'viewer', cast }, { role: 'viewer', slot: 'slot_0' }] as const) {
    await expect((await client(order)).cast.pin(cast)).rejects.toMatchObject({ fault: 'FORBIDDEN' });
  }
  const other = await client({ role: 'agent', slot: 'slot_1' });
  const refused = await other.cast.pin(cast).catch((error: unknown) => error);
  expect(refused).toMatchObject({ fault: 'CAST_NOT_FOUND' });
  // As if there were none: another slot's recording and none at all look the same.
  const nowhere = await other.cast.pin('cast_nowhere').catch((error: unknown) => error);
  expect((refused as Error).message).toBe((nowhere as Error).message);
  expect((await agent.cast.info(cast)).pinned).toBe(false);
  const own = await client({ role: 'agent', slot: 'slot_0' });
  await own.cast.pin(cast);
  expect((await agent.cast.list())[0]?.pinned).toBe(true);
  await own.cast.pin(cast, false);
  expect((await agent.cast.list())[0]?.pinned).toBe(false);
});
