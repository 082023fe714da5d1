// Recordings in the browser: found, replayed from any moment, taken along; of a long one no more is loaded than is looked at.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Slot } from '../../client/index.ts';
import { startGateway, type TestGateway, until } from '../support/gateway.ts';
import { openBrowser, screenRows, type TestBrowser } from '../support/page.ts';
import { castText } from '../unit/cast/shelf.ts';

let browser: TestBrowser;
let gateway: TestGateway;
let cast: string;
beforeAll(async () => {
  browser = await openBrowser();
  gateway = await startGateway();
  const slot = await (await gateway.client()).acquire({ label: 'recorded agent' });
  cast = slot.cast;
  await record(slot);
  await slot.release();
});
afterAll(async () => {
  await gateway.close();
  await browser.close();
});

async function record(slot: Slot): Promise<void> {
  await slot.terminal.start({ cols: 80, rows: 24 });
  await slot.terminal.run({ command: 'clear; echo the first chapter' });
  await slot.terminal.run({ command: 'sleep 1.2; clear; false' });
  await slot.exec.run({ command: 'echo zebra; exit 4' });
  await slot.terminal.run({ command: 'sleep 2.5; clear; echo the last chapter' });
}

const open = async (path: string, options?: Parameters<TestBrowser['open']>[1]): Promise<Page> =>
  await browser.open(`${gateway.url}${path}${path.includes('#') ? '&' : '#'}share=${gateway.token}`, options);
const shown = async (page: Page): Promise<string> => (await screenRows(page)).join('\n');

test('the list tells length and outcomes, and is searched by slot, label and command', async () => {
  const page = await open('/casts');
  const row = page.locator('a.cast').filter({ hasText: 'recorded agent' });
  await row.waitFor();
  expect(await row.textContent()).toContain('2 failed');
  const search = page.getByRole('searchbox', { name: 'Search the recordings' });
  for (const text of ['zebra', 'RECORDED', 'slot_0 chapter']) {
    await search.fill(text);
    await page.getByText('1 recording').waitFor();
    await row.waitFor();
  }
  await search.fill('giraffe');
  await page.getByText('No recording fits').waitFor();
  await search.fill('');
  await row.waitFor();
  await page.getByLabel('to', { exact: true }).fill('2020-01-01');
  await page.getByText('No recording fits').waitFor();
});

test('replays from a chapter, by its row and by [ and ]', async () => {
  const page = await open(`/cast/${cast}#t=0.1`);
  await page.locator('.commands > li').nth(3).getByRole('button').last().click();
  await page.locator('.commands > li').nth(3).and(page.locator('.current')).waitFor();
  expect(await shown(page)).not.toContain('chapter');
  await page.keyboard.press('[');
  await page.locator('.commands > li').nth(2).and(page.locator('.current')).waitFor();
  await page.keyboard.press('[');
  await until('the end of the first chapter', async () => (await shown(page)).includes('the first chapter'));
  await page.keyboard.press(' ');
  await until('the last chapter', async () => (await shown(page)).includes('the last chapter'));
});

test('a link to a moment opens there, and does not play by itself', async () => {
  const client = await gateway.client();
  const { markers } = await client.cast.info(cast);
  const moment = (markers.find(({ command }) => command?.includes('sleep 1.2'))?.time ?? 0) + 0.5;
  const page = await open(`/cast/${cast}#t=${moment}`);
  await until('that moment', async () => (await shown(page)).includes('sleep 1.2'));
  expect(await shown(page)).toContain('the first chapter');
  expect(page.url()).toBe(`${gateway.url}/cast/${cast}#t=${moment}`);
  await page.getByRole('button', { name: 'Play', exact: true }).waitFor();
});

test('the screen can be copied, and the recording be downloaded in three forms', async () => {
  const { duration } = await (await gateway.client()).cast.info(cast);
  const page = await open(`/cast/${cast}#t=${duration}`, {
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  await until('its end', async () => (await screenRows(page))[0] === 'the last chapter');
  await page.getByRole('button', { name: 'Copy screen' }).click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toContain('the last chapter');
  const line = page.locator('.ap-line').filter({ hasText: 'the last chapter' }).first();
  await line.click({ clickCount: 3 });
  await page.keyboard.press('Control+c');
  expect((await page.evaluate(() => navigator.clipboard.readText())).trimEnd()).toBe('the last chapter');
  await page.getByText('Download').click();
  for (const [name, start] of [
    ['asciicast v3', '{"version":3'],
    ['asciicast v2', '{"version":2'],
  ] as const) {
    const coming = page.waitForEvent('download');
    await page.getByRole('link', { name }).click();
    const file = await (await coming).path();
    expect((await readFile(file, 'utf8')).replaceAll(' ', '').startsWith(start)).toBe(true);
    await page.getByText('Download').click();
    if (!(await page.getByRole('link', { name }).isVisible())) await page.getByText('Download').click();
  }
});

test('an hour without output is skipped when that is wanted', async () => {
  const quiet = 'cast_quiet';
  const events = [
    [500, 'o', 'before the pause'],
    [3_600_500, 'o', ', after it'],
  ] as const;
  await writeFile(join(gateway.dataDir, 'casts', `${quiet}.cast`), castText({ cast: quiet }, events));
  const page = await open(`/cast/${quiet}#t=0.1`);
  await page.getByRole('checkbox', { name: 'Skip idle' }).check();
  await page.getByRole('button', { name: 'Play', exact: true }).click();
  await until('the other side of the pause', async () => (await shown(page)) === 'before the pause, after it');
});

test('of a long recording only the segments that are looked at are fetched', async () => {
  const slot = await (await gateway.client()).acquire({ label: 'long' });
  await slot.terminal.start({ cols: 120, rows: 40 });
  await slot.terminal.run({
    command: 'seq -f "%015g of a long recording" 1 1000000',
    timeoutMs: 60_000,
    maxOutputBytes: 1000,
  });
  await slot.release();
  const index = (await (
    await fetch(`${gateway.url}/casts/${slot.cast}/index.json`, {
      headers: { authorization: `Bearer ${gateway.token}` },
    })
  ).json()) as { duration: number; segments: { start: number }[] };
  expect(index.segments.length).toBeGreaterThan(10);
  // A recording counts in whole milliseconds.
  const middle = Math.floor(index.duration * 500) / 1000;
  const { text } = await (await gateway.client()).call('cast.seek', { cast: slot.cast, time: middle, text: true });

  const page = await open('/casts');
  const fetched = new Set<string>();
  page.on('request', (request) => {
    const number = /segment-(\d+)\.json/.exec(request.url())?.[1];
    if (number !== undefined) fetched.add(number);
  });
  await page.goto(`${gateway.url}/cast/${slot.cast}#t=${middle}`);
  await until('the middle', async () => (await shown(page)) === text?.trimEnd());
  expect(fetched.size).toBeLessThanOrEqual(3);
});
