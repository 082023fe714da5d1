// `node bench/wall.mjs [SLOTS]` after a build: what a wall of busy slots costs the gateway, with and without somebody looking, in turns of
// one run; and what it costs the browser that shows it. The agents are processes of their own: the slots' shells.
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { startGateway, TOKEN } from './gateway.mjs';
import { PRINTING } from './working.mjs';

const slots = Number(process.argv[2] ?? 100);
/** Long enough to even out the seconds. */
const TURN_MS = 10_000;
const TURNS = 3;
/** Clock ticks of /proc a second: USER_HZ, 100 on every Linux. */
const HZ = 100;

const gateway = await startGateway({ flags: ['--slots', String(slots)] });

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

async function work() {
  const client = await gateway.connect();
  const slot = await client.acquire();
  await slot.terminal.start({ cols: 100, rows: 30 });
  await slot.terminal.write(PRINTING);
}

async function inBrowser() {
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
  await page.goto(`${gateway.url}/#share=${TOKEN}`);
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
  for (let count = 0; count < slots; count++) await work();
  const viewer = await gateway.connect();
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
  const { percent, longestMs } = await inBrowser();
  console.log(`browser: ${percent.toFixed(1)} percent of its main thread, longest task ${longestMs.toFixed(0)} ms`);
} finally {
  await gateway.close();
}
