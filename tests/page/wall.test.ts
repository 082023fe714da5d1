// The wall in the browser: many slots at once, over one connection.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Slot } from '../../client/index.ts';
import { startGateway, type TestGateway, until } from '../support/gateway.ts';
import { openBrowser, type TestBrowser } from '../support/page.ts';

const SLOTS = 20;
let browser: TestBrowser;
let gateway: TestGateway;
let slots: readonly Slot[];
beforeAll(async () => {
  browser = await openBrowser();
  gateway = await startGateway('--slots', String(SLOTS + 3));
  slots = await Promise.all(
    Array.from({ length: SLOTS }, async (_, number) => {
      const slot = await (await gateway.client()).acquire({ label: `agent number ${number}` });
      await slot.terminal.start({ cols: 80, rows: 24 });
      // Each counts on its own, so that a mixed-up screen would show.
      await slot.terminal.write(`clear; while :; do echo "agent ${number} at $((i++))"; sleep 0.3; done\r`);
      return slot;
    }),
  );
}, 60_000);
afterAll(async () => {
  await gateway.close();
  await browser.close();
});

test('shows twenty live slots, each with its own screen, over one connection', async () => {
  const page = await browser.open(`${gateway.url}/healthz`);
  let sockets = 0;
  page.on('websocket', () => {
    sockets++;
  });
  await page.goto(`${gateway.url}/#share=${gateway.token}`);
  const cards = page.locator('a.card');
  await until('twenty cards', async () => (await cards.count()) === SLOTS);
  const countOf = async (number: number): Promise<number> => {
    const card = cards.filter({ has: page.getByText(`agent number ${number}`, { exact: true }) });
    const text = (await card.locator('.preview').textContent()) ?? '';
    const counts = [...text.matchAll(/agent (\d+) at (\d+)/g)];
    expect(counts.filter(([, agent]) => agent !== String(number))).toEqual([]);
    return Math.max(-1, ...counts.map(([, , count]) => Number(count)));
  };
  const before: number[] = [];
  for (let number = 0; number < SLOTS; number++) {
    await until(`the screen of agent ${number}`, async () => (await countOf(number)) >= 0);
    before.push(await countOf(number));
  }
  for (let number = 0; number < SLOTS; number++) {
    await until(`agent ${number} to go on`, async () => (await countOf(number)) > (before[number] ?? 0));
  }
  expect(sockets).toBe(1);
  expect(await page.getByText('3 free slots').count()).toBe(1);
});

test('tells what runs and for how long, how the last command ended, and who looks', async () => {
  const [slot] = slots;
  if (slot === undefined) throw new Error('There is no slot.');
  const page = await browser.open(`${gateway.url}/#share=${gateway.token}`);
  const card = page.locator('a.card').filter({ has: page.getByText('agent number 0', { exact: true }) });
  await slot.exec.run({ command: 'exit 7 # the one that failed' });
  await card.getByText('exit 7', { exact: true }).waitFor({ state: 'attached' });
  const long = await slot.exec.start({ command: 'sleep 600 # a long one', timeoutMs: 0 });
  await card.getByText('sleep 600 # a long one').waitFor();
  await card.locator('time').getByText(/\d s/).waitFor();
  const watch = await slot.watch();
  await card.locator('.viewers').waitFor();
  await watch.close();
  await card.locator('.viewers').waitFor({ state: 'detached' });
  await long.signal('KILL');
  await card.getByText('sleep 600 # a long one').waitFor();
  await card.getByText('ended by').waitFor({ state: 'attached' });
});

test('is filtered, and gone through by keys into a slot and back', async () => {
  const page = await browser.open(`${gateway.url}/#share=${gateway.token}`);
  const cards = page.locator('a.card');
  await until('the cards', async () => (await cards.count()) === SLOTS);
  const isFiltering = (): Promise<boolean> => page.evaluate(() => document.activeElement instanceof HTMLInputElement);
  // On a busy machine a key may come before the page takes it: who presses it presses again.
  await until('the filter', async () => {
    if (!(await isFiltering())) await page.keyboard.press('/');
    return await isFiltering();
  });
  await page.keyboard.type('number 17');
  await until('one card', async () => (await cards.count()) === 1);
  await page.keyboard.press('Enter');
  expect(await page.evaluate(() => document.activeElement?.textContent)).toContain('agent number 17');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'LIVE', exact: true }).waitFor();
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keyboard' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await until('the wall again', async () => {
    if ((await cards.count()) === 0) await page.keyboard.press('Escape');
    return (await cards.count()) > 0;
  });
});

test('a slot that is released leaves the wall, and one that is acquired comes to it', async () => {
  const page = await browser.open(`${gateway.url}/#share=${gateway.token}`);
  const client = await gateway.client();
  const slot = await client.acquire({ label: 'comes and goes' });
  await slot.terminal.run({ command: 'echo here I am' });
  const card = page.locator('a.card').filter({ hasText: 'comes and goes' });
  await card.getByText('here I am').first().waitFor();
  await slot.release();
  await card.waitFor({ state: 'detached' });
});
