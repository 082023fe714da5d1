// What the tests do with a gateway that somebody else has started, tried on one of their own.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startGateway, type TestGateway, until } from '../support/gateway.ts';
import { alone, RemoteSlots } from '../support/remote.ts';

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await startGateway();
});
afterEach(() => gateway.close());

test('a slot that is still being emptied when the next test begins is waited for', async () => {
  alone();
  const client = await gateway.client();
  await client.call('slot.acquire', { slot: 'slot_0' });
  // Removing so many takes long enough to be seen.
  await client.call('exec.run', { command: 'for d in $(seq 10); do mkdir $d; (cd $d; seq 1000 | xargs touch); done' });
  const released = client.call('slot.release', {});
  const watcher = await gateway.client();
  const state = async (): Promise<string> => (await watcher.call('slot.info', { slot: 'slot_0' })).state;
  await until('it is being emptied', async () => (await state()) === 'resetting');
  const slots = await RemoteSlots.open({ url: gateway.url, token: gateway.token, flags: [], dataDir: undefined }, []);
  expect(await state()).toBe('free');
  await slots?.free();
  await released;
});
