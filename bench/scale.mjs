// `npm run bench -- scale`: 500 slots that idle, 200 that work at once, and how the figures grow with slots, viewers and the length of
// recordings. Each figure as a table and a chart in bench/scale/.
import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { CAST, writeCast } from './cast-file.mjs';
import { startCrowd } from './crowd-process.mjs';
import { HZ, watchAddress, watched } from './fan-out.mjs';
import { startGateway } from './gateway.mjs';
import { printHistory } from './history.mjs';
import { pssMb, withChildren } from './memory.mjs';
import { plot } from './plot.mjs';
import { quantile, timed } from './sample.mjs';
import { work } from './working.mjs';

const FOLDER = new URL('scale/', import.meta.url).pathname;
const SLOTS = { full: [1, 8, 50, 200, 500], quick: [1, 4, 8] };
const VIEWERS = { full: [1, 10, 100, 1000], quick: [1, 10] };
const CAST_MB = { full: [1, 10, 100], quick: [1, 2] };
const WORKING = { full: 200, quick: 4 };
const WORK_MS = { full: 30_000, quick: 3000 };
/** Started side by side. */
const BATCH = 4;
/** Garbage is gone by then, and what stood by for a moment. */
const SETTLE_MS = 10_000;

/** Runs all of it and writes the charts; resolves with Markdown. `signal` ends it. */
export async function scale({ quick, facts, tell, signal }) {
  const size = quick ? 'quick' : 'full';
  let last = null;
  const start = (options) => {
    last = startGateway(options);
    return last;
  };
  signal.addEventListener('abort', async () => {
    await (await last)?.close();
    process.exit(1);
  });
  const slots = await overSlots(SLOTS[size], { start, tell });
  const working = await atWork(WORKING[size], { start, ms: WORK_MS[size], tell });
  const viewers = await overViewers(VIEWERS[size], { start, tell });
  const casts = await overCasts(CAST_MB[size], { start, tell });
  if (!quick) charts({ slots, viewers, casts });
  return report({ facts, slots, working, viewers, casts });
}

/** Idle slots with terminals, more and more of them in one gateway. */
async function overSlots(counts, { start, tell }) {
  const gateway = await start({ flags: ['--slots', String(counts.at(-1) + 1)] });
  const rows = [];
  try {
    const probe = await (await gateway.connect()).acquire();
    await timed(20, () => probe.exec.run({ command: 'true' }));
    await delay(SETTLE_MS);
    const empty = sizes(gateway);
    const keeper = await gateway.keeperDelay();
    let there = 0;
    for (const count of counts) {
      const beginMs = performance.now();
      await begin(gateway, count - there);
      const rate = ((count - there) * 1000) / (performance.now() - beginMs);
      there = count;
      await delay(SETTLE_MS);
      await Promise.all([gateway.loopDelay(), keeper.reset()]);
      await delay(SETTLE_MS);
      const lag = { gateway: await gateway.loopDelay(), keeper: await keeper.p99() };
      const now = sizes(gateway);
      const each = Object.fromEntries(Object.entries(now).map(([part, mb]) => [part, (mb - empty[part]) / count]));
      const exec = await timed(100, () => probe.exec.run({ command: 'true' }));
      rows.push({ count, rate, each, lag, exec: { p50: quantile(exec, 0.5), p99: quantile(exec, 0.99) } });
      tell(`${count} idle slots`);
    }
  } finally {
    await gateway.close();
  }
  return rows;
}

async function begin(gateway, count) {
  const slots = [];
  for (let left = count; left > 0; left -= BATCH) {
    const some = Array.from({ length: Math.min(BATCH, left) }, async () => {
      const slot = await (await gateway.connect()).acquire();
      await slot.terminal.start();
      await slot.terminal.wait({ prompt: true });
      return slot;
    });
    slots.push(...(await Promise.all(some)));
  }
  return slots;
}

/** MB. */
function sizes(gateway) {
  const [own, keeper] = [gateway.pid, gateway.keeperPid()];
  const others = withChildren(own, keeper).filter((pid) => pid !== own && pid !== keeper);
  return { processes: pssMb(others), keeper: pssMb([keeper]), gateway: pssMb([own]) };
}

async function atWork(count, { start, ms, tell }) {
  const gateway = await start({ flags: ['--slots', String(count)] });
  try {
    const beginMs = performance.now();
    const slots = await begin(gateway, count);
    const rate = (count * 1000) / (performance.now() - beginMs);
    const keeper = await gateway.keeperDelay();
    await Promise.all([gateway.loopDelay(), keeper.reset()]);
    const times = await work(slots, ms);
    const lag = { gateway: await gateway.loopDelay(), keeper: await keeper.p99() };
    tell(`${count} slots at work`);
    return { count, rate, lag, commands: times.length, p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
  } finally {
    await gateway.close();
  }
}

async function overViewers(counts, { start, tell }) {
  const gateway = await start();
  const rows = [];
  try {
    const slot = await (await gateway.connect()).acquire();
    await slot.terminal.run({ command: 'true' });
    for (const count of counts) {
      const crowd = await startCrowd(watchAddress(gateway, slot), count);
      await watched(crowd, slot, 500);
      const { quantiles } = await watched(crowd, slot, 5000);
      await crowd.close();
      rows.push({ count, p50: quantile(quantiles, 0.5), p99: quantile(quantiles, 0.99) });
      tell(`${count} viewers`);
    }
  } finally {
    await gateway.close();
  }
  return rows;
}

async function overCasts(lengthsMb, { start, tell }) {
  const rows = [];
  for (const mb of lengthsMb) {
    let durationS = 0;
    const before = async (dataDir) => {
      durationS = await writeCast(dataDir, mb * 2 ** 20);
    };
    const gateway = await start({ before });
    try {
      const client = await gateway.connect();
      const [firstSeek] = await timed(1, () => client.cast.seek(CAST, durationS / 2));
      const seeks = await timed(50, (at) => client.cast.seek(CAST, ((at * 0.618_034) % 1) * durationS));
      const slot = await client.acquire();
      await printHistory(slot, mb * 2 ** 20);
      const join = async () => await (await client.watch({ slot: slot.name })).close();
      const [firstJoin] = await timed(1, join);
      const joins = await timed(50, join);
      rows.push({ mb, firstSeek, seek: quantile(seeks, 0.5), firstJoin, join: quantile(joins, 0.5) });
      tell(`recordings of ${mb} MB`);
    } finally {
      await gateway.close();
    }
  }
  return rows;
}

function charts({ slots, viewers, casts }) {
  mkdirSync(FOLDER, { recursive: true });
  const draw = (file, chart) => writeFileSync(`${FOLDER}${file}.svg`, plot(chart));
  draw('exec', {
    title: 'one command, beside idle slots',
    xLabel: 'idle slots with a terminal',
    unit: 'ms',
    series: {
      p50: slots.map(({ count, exec }) => [count, exec.p50]),
      p99: slots.map(({ count, exec }) => [count, exec.p99]),
    },
  });
  draw('memory', {
    title: 'memory of all, PSS',
    xLabel: 'idle slots with a terminal',
    unit: 'MB',
    series: Object.fromEntries(
      ['processes', 'gateway', 'keeper'].map((part) => [
        part,
        slots.map(({ count, each }) => [count, Math.max(0, each[part] * count)]),
      ]),
    ),
  });
  draw('viewers', {
    title: `print → frame at ${HZ} frames/s`,
    xLabel: 'viewers of one slot',
    unit: 'ms',
    series: { p50: viewers.map(({ count, p50 }) => [count, p50]), p99: viewers.map(({ count, p99 }) => [count, p99]) },
  });
  draw('recordings', {
    title: 'join and seek',
    xLabel: 'MB recorded',
    unit: 'ms',
    series: {
      'the first viewer': casts.map(({ mb, firstJoin }) => [mb, firstJoin]),
      seek: casts.map(({ mb, seek }) => [mb, seek]),
    },
  });
}

const number = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(Math.abs(value) >= 10 ? 1 : 2));
const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map(
    (row) => `| ${row.map((cell) => (typeof cell === 'number' ? number(cell) : cell)).join(' | ')} |`,
  );

function report({ facts, slots, working, viewers, casts }) {
  const { count, rate, lag, commands, p50, p99 } = working;
  return [
    '# How the figures grow',
    '',
    'Written by `npm run bench -- scale`. ms unless another unit stands there; of event loops p99, ten ms of which are the timer’s own.',
    '',
    ...facts.map((fact) => `- ${fact}`),
    '',
    '## Idle slots with a terminal',
    '',
    ...table(
      [
        'slots',
        'started a second',
        'MB a slot',
        'its processes',
        'gateway',
        'keeper',
        'loop: gateway',
        'loop: keeper',
        'one command, p50 (p99)',
      ],
      slots.map((row) => [
        String(row.count),
        row.rate,
        row.each.processes + row.each.gateway + row.each.keeper,
        row.each.processes,
        row.each.gateway,
        row.each.keeper,
        row.lag.gateway,
        row.lag.keeper,
        `${number(row.exec.p50)} (${number(row.exec.p99)})`,
      ]),
    ),
    '',
    `## ${count} slots at work`,
    '',
    'Each prints four lines a second and runs a command every ten seconds.',
    '',
    ...table(
      ['started a second', 'commands', 'one command, p50 (p99)', 'loop: gateway', 'loop: keeper'],
      [[rate, String(commands), `${number(p50)} (${number(p99)})`, lag.gateway, lag.keeper]],
    ),
    '',
    `## Viewers of one slot that prints ${HZ} times a second`,
    '',
    ...table(
      ['viewers', 'print → frame, p50', 'p99'],
      viewers.map((row) => [String(row.count), row.p50, row.p99]),
    ),
    '',
    '## Length of a recording',
    '',
    ...table(
      ['MB', 'join', 'first join', 'seek', 'first seek'],
      casts.map((row) => [String(row.mb), row.join, row.firstJoin, row.seek, row.firstSeek]),
    ),
    '',
    '![one command](scale/exec.svg) ![memory](scale/memory.svg) ![viewers](scale/viewers.svg) ![recordings](scale/recordings.svg)',
    '',
  ].join('\n');
}
