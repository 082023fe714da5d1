// Taking a slot over in the browser: typed by a person, told to its agent, given back to it; refused to whoever may only look.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startGateway, type TestGateway, until } from '../support/gateway.ts';
import { openBrowser, screenRows, type TestBrowser } from '../support/page.ts';

let browser: TestBrowser;
let gateway: TestGateway;
beforeAll(async () => {
  browser = await openBrowser();
});
afterAll(async () => await browser.close());
beforeEach(async () => {
  gateway = await startGateway();
});
afterEach(async () => await gateway.close());

test('a person takes over, types, and gives the slot back to its agent, which goes on', async () => {
  const agent = await gateway.client();
  const slot = await agent.acquire({ label: 'agent' });
  await slot.terminal.run({ command: 'export WHO=agent' });
  const told: string[] = [];
  agent.on('takenOver', () => told.push('taken over'));
  agent.on('givenBack', () => told.push('given back'));
  const page = await browser.open(`${gateway.url}/slot/${slot.name}#share=${gateway.token}`);
  const xterm = page.waitForRequest(/xterm.*\.js/);
  await page.getByRole('button', { name: 'Take over' }).click();
  await xterm;
  await page.getByText('You are driving').waitFor();
  await until('the agent to be told', () => told.length === 1);
  const other = await browser.open(`${gateway.url}/slot/${slot.name}#share=${gateway.token}`);
  await other.getByText('taken over').first().waitFor();

  await page.keyboard.type('echo "by a person, after $WHO" > note; cat note\n');
  await until('what was typed', async () => (await screenRows(other)).includes('by a person, after agent'));
  const waiting = slot.exec.run({ command: 'cat note', timeoutMs: 10_000 });
  await page.keyboard.press('Control+Shift+L');
  await page.getByRole('button', { name: 'Take over' }).waitFor();
  expect((await waiting).stdout).toBe('by a person, after agent\n');
  expect(told).toEqual(['taken over', 'given back']);
  const { markers } = await agent.cast.info(slot.cast);
  expect(markers.map(({ label }) => label)).toEqual(expect.arrayContaining(['taken over', 'given back']));
});

test('a page that is closed while it drives leaves the slot to its agent', async () => {
  const agent = await gateway.client();
  const slot = await agent.acquire();
  await slot.terminal.start();
  const page = await browser.open(`${gateway.url}/slot/${slot.name}#share=${gateway.token}`);
  await page.getByRole('button', { name: 'Take over' }).click();
  await page.getByText('You are driving').waitFor();
  await page.close();
  expect((await slot.exec.run({ command: 'echo on', timeoutMs: 20_000 })).stdout).toBe('on\n');
});

test('output that names two thousand million lines does not freeze the page of who drives', async () => {
  const agent = await gateway.client();
  const slot = await agent.acquire();
  await slot.terminal.start();
  const page = await browser.open(`${gateway.url}/slot/${slot.name}#share=${gateway.token}`);
  await page.getByRole('button', { name: 'Take over' }).click();
  await page.getByText('You are driving').waitFor();
  const counts = [...'LMSTbIZ'].map((final) => `x\\e[2147483647${final}`).join('');
  await page.keyboard.type(`printf '${counts}'; clear; echo still"-"here\n`);
  await page.locator('.xterm-rows', { hasText: 'still-here' }).waitFor();
});
