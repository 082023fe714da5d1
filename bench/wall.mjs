// `node bench/wall.mjs [SLOTS]` after a build: what a wall of busy slots costs the gateway, with and without somebody looking, in turns of
// one run; and what it costs the browser that shows it. The agents are processes of their own: the slots' shells.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';
import { connect } from '../dist/client/index.js';

const slots = Number(process.argv[2] ?? 100);
/** Long enough to even out the seconds. */
const TURN_MS = 10_000;
const TURNS = 3;
/** Clock ticks of /proc a second: USER_HZ, 100 on every Linux. */
const HZ = 100;

const program = new URL('../dist/cli/main.js', import.meta.url).pathname;
const dataDir = mkdtempSync(join(tmpdir(), 'slotcast-bench-'));
const flags = ['serve', '--port', '0', '--slots', String(slots), '--data-dir', dataDir, '--log-level', 'error'];
const gateway = spawn(process.execPath, [program, ...flags], { stdio: ['ignore', 'pipe', 'ignore'] });
const closed = new Promise((resolve) => gateway.on('close', resolve));

/** User and system time of the gateway, ms. */
function cpuMs() {
  const stat = readFileSync(`/proc/${gateway.pid}/stat`, 'utf8');
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number);
  return ((user + system) * 1000) / HZ;
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Percent of a core over one turn. */
async function measure(read = cpuMs) {
  const [before, began] = [await read(), performance.now()];
  await sleep(TURN_MS);
  return (((await read()) - before) / (performance.now() - began)) * 100;
}

const shown = (list) => list.map((percent) => percent.toFixed(1)).join(' ');
const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length;

async function start() {
  for await (const line of createInterface({ input: gateway.stdout })) {
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
    if (url) return { url, token: readFileSync(join(dataDir, 'token'), 'utf8').trim() };
  }
  throw new Error('The gateway did not start.');
}

/** A shell that prints a line about four times a second, without a process for each. */
const LOOP =
  'coproc cat; clear; while read -t 0.25 -u "${COPROC[0]}"; [ $? -gt 128 ]; do echo "step $((i++)) of $RANDOM"; done\r';

async function work(at) {
  const client = await connect(at);
  const slot = await client.acquire();
  await slot.terminal.start({ cols: 100, rows: 30 });
  await slot.terminal.write(LOOP);
  return client;
}

async function inBrowser(at) {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.addInitScript(() => {
    Object.assign(globalThis, { longest: 0 });
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) globalThis.longest = Math.max(globalThis.longest, duration);
    }).observe({ type: 'longtask' });
  });
  await page.goto(`${at.url}/#share=${at.token}`);
  await page
    .locator('a.card')
    .nth(slots - 1)
    .waitFor();
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  const busyMs = async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    return (metrics.find(({ name }) => name === 'TaskDuration')?.value ?? 0) * 1000;
  };
  await page.evaluate(() => Object.assign(globalThis, { longest: 0 }));
  const percent = await measure(busyMs);
  const longestMs = await page.evaluate(() => globalThis.longest);
  await browser.close();
  return { percent, longestMs };
}

try {
  const at = await start();
  const agents = [];
  for (let count = 0; count < slots; count++) agents.push(await work(at));
  const viewer = await connect(at);
  const [alone, watched] = [[], []];
  let screens = 0;
  viewer.on('slots.screens', (batch) => {
    screens += batch.screens.length;
  });
  for (let turn = 0; turn < TURNS; turn++) {
    alone.push(await measure());
    const watch = await viewer.watchSlots({ screens: true });
    await sleep(1000);
    watched.push(await measure());
    await watch.close();
  }
  console.log(`${slots} slots that print about four lines a second; percent of a core, gateway`);
  console.log(`nobody looks      ${shown(alone)}`);
  console.log(`a wall is watched ${shown(watched)}`);
  console.log(`the wall's part   ${(mean(watched) - mean(alone)).toFixed(1)} (aim: below 15)`);
  console.log(`screens a second  ${(screens / ((TURNS * (TURN_MS + 1000)) / 1000)).toFixed(0)}`);
  const { percent, longestMs } = await inBrowser(at);
  console.log(`browser: ${percent.toFixed(1)} percent of its main thread, longest task ${longestMs.toFixed(0)} ms`);
  await viewer.close();
  await Promise.all(agents.map((agent) => agent.close()));
} finally {
  gateway.kill();
  await closed;
  rmSync(dataDir, { recursive: true, force: true });
}
