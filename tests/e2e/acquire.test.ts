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
  expect(again).toEqual({ ...made, resumed: true });
  expect((await second.call('file.read', { path: 'mine' })).data).toBe('x');
  await second.call('slot.release', {});
  expect((await other.call('slot.acquire', { slot: 'slot_1', key })).lease).not.toBe(made.lease);
});

test('a runtime that was started anew gets by its key what its commands printed meanwhile', async () => {
  const first = await gateway.client();
  const slot = await first.acquire({ key: `${key}-3` });
  const { id } = await slot.exec.start({
    command: 'echo begun; until [ -e go ]; do sleep 0.02; done; echo ended',
    stream: true,
  });
  await first.close();
  const second = await gateway.client();
  const again = await second.acquire({ key: `${key}-3` });
  expect([again.name, again.resumed]).toEqual([slot.name, true]);
  const process = again.exec.process(id);
  await again.file.write({ path: 'go', data: '' });
  let text = '';
  for await (const { data } of process) text += data;
  expect([text, (await process.exit).outcome]).toEqual(['begun\nended\n', 'exited']);
  await again.release();
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
