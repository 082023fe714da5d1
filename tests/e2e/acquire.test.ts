import { afterAll, beforeAll, expect, test } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway?.close());

const key = 'a-secret-of-this-agent-alone';

test('who lost the reply of slot.acquire gets the lease that was made by asking again with the same key', async () => {
  const [first, second, other] = [await gateway.client(), await gateway.client(), await gateway.client()];
  const made = await first.call('slot.acquire', { slot: 'slot_1', key });
  await first.call('file.write', { path: 'mine', data: 'x' });
  await expect(other.call('slot.acquire', { slot: 'slot_1' })).rejects.toMatchObject({ fault: 'SLOT_BUSY' });
  const again = await second.call('slot.acquire', { slot: 'slot_1', key });
  expect(again).toEqual(made);
  expect((await second.call('file.read', { path: 'mine' })).data).toBe('x');
  await second.call('slot.release', {});
  expect((await other.call('slot.acquire', { slot: 'slot_1', key })).lease).not.toBe(made.lease);
});

test('two calls with one key at once make one lease', async () => {
  const clients = [await gateway.client(), await gateway.client()];
  const made = await Promise.all(clients.map((client) => client.call('slot.acquire', { key: `${key}-2` })));
  expect(made[0]?.lease).toBe(made[1]?.lease);
  expect((await (await gateway.client()).slots()).filter(({ slot }) => slot === made[0]?.slot)).toHaveLength(1);
});

test('a key that others could guess is refused', async () => {
  const client = await gateway.client();
  await expect(client.call('slot.acquire', { key: 'k1' })).rejects.toMatchObject({ fault: 'INVALID_PARAMS' });
});
