// The page when its gateway dies: it says so, keeps what was seen, and comes back by itself.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../../client/index.ts';
import { until } from '../support/gateway.ts';
import { endKeeper } from '../support/keeper.ts';
import { openBrowser, screenRows, type TestBrowser } from '../support/page.ts';

const program = new URL('../../dist/cli/main.js', import.meta.url).pathname;
let browser: TestBrowser;
let dataDir: string;
let running: ChildProcess | null = null;
beforeAll(async () => {
  browser = await openBrowser();
  dataDir = mkdtempSync(join(tmpdir(), 'slotcast-reconnect-'));
});
afterAll(async () => {
  await kill();
  await endKeeper(dataDir);
  await browser.close();
  rmSync(dataDir, { recursive: true, force: true });
});

async function kill(): Promise<void> {
  const child = running;
  running = null;
  if (child === null) return;
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
}

/** Gives the address that it prints. */
async function serve(port: string): Promise<string> {
  const env = { PATH: process.env['PATH'], HOME: dataDir, SLOTCAST_DATA_DIR: dataDir };
  running = spawn(process.execPath, [program, 'serve', '--port', port, '--slots', '2'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (running.stdout === null) throw new Error('It has no output.');
  for await (const line of createInterface({ input: running.stdout })) {
    const found = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
    if (found !== undefined) return found;
  }
  throw new Error('The gateway ended before it was there.');
}

/** Says something in slot_0, which it drives from then on, or again by that secret; gives the secret. */
async function say(url: string, what: string, resume?: string): Promise<string> {
  const client = await connect({ url, token: tokenOf(), reconnect: false });
  const how = resume === undefined ? { slot: 'slot_0', label: 'someone' } : { resume };
  const lease = await client.call('slot.acquire', how);
  await client.call('terminal.run', { command: `echo ${what}` });
  await client.close();
  return lease.resume;
}

const tokenOf = (): string => readFileSync(join(dataDir, 'token'), 'utf8').trim();

test('a gateway that is killed and started again is found by the open page, which then shows what is there', async () => {
  const url = await serve('0');
  const resume = await say(url, 'before');
  const slotPage = await browser.open(`${url}/slot/slot_0#share=${tokenOf()}`);
  const wall = await browser.open(`${url}/#share=${tokenOf()}`);
  const shown = async (): Promise<string> => (await screenRows(slotPage)).join('\n');
  await until('the terminal', async () => (await shown()).includes('before'));
  await wall.locator('a.card').getByText('someone').first().waitFor();
  for (const page of [slotPage, wall]) await page.evaluate(() => Object.assign(window, { isSamePage: true }));

  await kill();
  for (const page of [slotPage, wall])
    await page
      .getByText(/reconnecting/i)
      .first()
      .waitFor();
  expect(await shown()).toContain('before');

  expect(await serve(new URL(url).port)).toBe(url);
  await say(url, 'after', resume);
  await until('what came after it', async () => (await shown()).includes('after'), 20_000);
  expect(await shown()).toContain('before');
  await wall.locator('a.card').getByText('after').first().waitFor();
  for (const page of [slotPage, wall]) {
    await until('no word of it', async () => (await page.getByText(/reconnecting/i).count()) === 0, 20_000);
    expect(await page.evaluate(() => 'isSamePage' in window)).toBe(true);
  }
});
