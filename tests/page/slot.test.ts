// One slot in the browser: what is seen of it is what the gateway has, now and at every moment before.
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Slot } from '../../client/index.ts';
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

const openSlot = async (slot: string): Promise<Page> =>
  await browser.open(`${gateway.url}/slot/${slot}#share=${gateway.token}`);

async function capturedRows(slot: Slot): Promise<string[]> {
  const { text } = await slot.terminal.capture();
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.trimEnd());
}

test('who joins in the middle of vim sees what the gateway captures', async () => {
  const slot = await (await gateway.client()).acquire();
  await slot.exec.run({ command: 'seq -f "line %g of the file" 1 200 > n.txt' });
  await slot.terminal.start({ cols: 100, rows: 30 });
  await slot.terminal.write('vim -u NONE -c "set number nocompatible" n.txt\r');
  await slot.terminal.wait({ text: 'line 20 of', timeoutMs: 10_000 });
  await slot.terminal.keys('5', '0', 'G', 'o', 'written by the agent');
  await slot.terminal.wait({ text: 'written by the agent', timeoutMs: 10_000 });
  const expected = await capturedRows(slot);

  const page = await openSlot(slot.name);
  await until('the screen of vim', async () => (await screenRows(page)).join('\n') === expected.join('\n'));
  expect(await screenRows(page)).toEqual(expected);
  await slot.terminal.keys('Escape', 'd', 'd', 'G');
  await slot.terminal.wait({ text: 'line 200 of', timeoutMs: 10_000 });
  const after = await capturedRows(slot);
  await until('the end of the file', async () => (await screenRows(page)).join('\n') === after.join('\n'));
});

/** Prints `first`, then after more than a second `second`, then counts on without end. */
async function tell(slot: Slot): Promise<void> {
  await slot.terminal.start({ cols: 80, rows: 24 });
  await slot.terminal.run({ command: 'clear; echo the first moment' });
  await slot.terminal.run({ command: 'sleep 1.5; clear; echo the second moment' });
  await slot.terminal.write('clear; while :; do echo "count $((i++))"; sleep 0.05; done\r');
  await slot.terminal.wait({ text: 'count 5', timeoutMs: 10_000 });
}

const command = (page: Page, text: string) => page.getByRole('listitem').filter({ hasText: text });

test('rewinds to a command and comes back to live while output flows', async () => {
  const slot = await (await gateway.client()).acquire();
  await tell(slot);
  const page = await openSlot(slot.name);
  const shown = async (): Promise<string> => (await screenRows(page)).join('\n');
  await until('live output', async () => (await shown()).includes('count '));

  const first = command(page, 'the first moment').getByRole('button', { name: 'the first moment' }).last();
  await first.click();
  await page.getByText('REWIND').waitFor();
  await page.keyboard.press(' ');
  await page.getByRole('button', { name: 'Play', exact: true }).waitFor();
  await first.click();
  await until('nothing yet', async () => !(await shown()).includes('moment'));
  await page.keyboard.press(']');
  await until('the first moment', async () => (await shown()).includes('the first moment'));
  expect(await shown()).not.toContain('second');
  await page.keyboard.press('[');
  await until('nothing yet', async () => !(await shown()).includes('moment'));
  const { duration } = await (await gateway.client()).cast.info(slot.cast);
  expect(duration).toBeGreaterThan(1.5);

  const before = await lastCount(slot);
  await page.keyboard.press('l');
  await page.getByText('REWIND').waitFor({ state: 'detached' });
  await until('what came meanwhile', async () => newestCount(await screenRows(page)) > before);
});

test('a slot that prints goes on being recorded while somebody looks back, and the timeline can be dragged', async () => {
  const slot = await (await gateway.client()).acquire();
  await tell(slot);
  const page = await openSlot(slot.name);
  await until('live output', async () => newestCount(await screenRows(page)) > 0);
  const line = page.getByRole('slider', { name: 'Moment of the recording' });
  const box = await line.boundingBox();
  if (box === null) throw new Error('The timeline is not there.');
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width - 2, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2, y, { steps: 4 });
  await page.mouse.move(box.x + 1, y, { steps: 4 });
  await page.mouse.up();
  await page.getByText('REWIND').waitFor();
  await until('its beginning', async () => newestCount(await screenRows(page)) === -1);
  const before = await lastCount(slot);
  await until('more of it', async () => (await lastCount(slot)) > before);
  await page.getByRole('button', { name: 'LIVE', exact: true }).click();
  await until('now', async () => newestCount(await screenRows(page)) > before);
});

const newestCount = (rows: readonly string[]): number =>
  Math.max(-1, ...rows.map((row) => Number(/^count (\d+)$/.exec(row)?.[1] ?? -1)));

async function lastCount(slot: Slot): Promise<number> {
  return newestCount(await capturedRows(slot));
}

test('lists every command with how it ended and what it printed, newest first, as it happens', async () => {
  const slot = await (await gateway.client()).acquire();
  await slot.terminal.run({ command: 'echo from the terminal' });
  const page = await openSlot(slot.name);
  await command(page, 'echo from the terminal').waitFor();
  await slot.exec.run({ command: 'echo "<b>out</b>"; echo err >&2; exit 3' });
  const long = await slot.exec.start({ command: 'echo so far; sleep 600', timeoutMs: 0 });
  await command(page, 'sleep 600').getByText('running').first().waitFor();
  const rows = page.locator('.commands > li');
  expect(await rows.count()).toBe(3);
  expect(await rows.nth(0).textContent()).toContain('sleep 600');
  expect(await rows.nth(1).textContent()).toContain('exit 3');
  await rows.nth(1).getByRole('button', { name: 'Output of' }).click();
  expect(await rows.nth(1).locator('pre.output').first().textContent()).toBe('<b>out</b>\n');
  expect(await rows.nth(1).locator('pre.stderr').textContent()).toBe('err\n');
  await rows.nth(2).getByRole('button', { name: 'Output of' }).click();
  expect(await rows.nth(2).locator('pre.output').textContent()).toContain('from the terminal');
  await rows.nth(0).getByRole('button', { name: 'Output of' }).click();
  await rows.nth(0).getByText('so far', { exact: true }).waitFor();
  await long.signal('KILL');
  await rows.nth(0).getByText('ended by').first().waitFor();
});

test('a viewer of a shared link sees its slot and has no button to drive it', async () => {
  const slot = await (await gateway.client()).acquire();
  await slot.terminal.run({ command: 'echo for everybody' });
  const other = await (await gateway.client()).acquire({ label: 'not shared' });
  const token = await gateway.mint({ role: 'viewer', slot: slot.name, ttlMs: 60_000 });
  const page = await browser.open(`${gateway.url}/slot/${slot.name}#share=${token}`);
  await until('its screen', async () => (await screenRows(page)).join('\n').includes('for everybody'));
  expect(page.url()).toBe(`${gateway.url}/slot/${slot.name}`);
  expect(await page.getByRole('button', { name: 'Take over' }).count()).toBe(0);
  expect(await page.getByRole('button', { name: 'Share' }).count()).toBe(0);
  await page.goto(`${gateway.url}/`);
  await page.getByRole('link', { name: slot.name }).first().waitFor();
  expect(await page.textContent('body')).not.toContain('not shared');
  await page.goto(`${gateway.url}/slot/${other.name}`);
  await page.getByText('There is no slot').waitFor();
});
