// What is under way in the very moment in which one gateway goes and another comes.
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { castDirectory, castPath } from '../../../../server/keeper/cast-place.ts';
import { Pool } from '../../../../server/slot/pool.ts';
import { endKept } from '../../../../server/slot/slot.ts';
import { until } from '../../../support/gateway.ts';
import { type Link, lease, makeLink } from './link-fixture.ts';

let link: Link;
beforeEach(async () => {
  link = await makeLink();
});
afterEach(async () => {
  await link.close();
});

const POOL = {
  count: 1,
  network: 'none',
  maxProcesses: 8,
  takeoverGraceMs: 1000,
  dropped: () => undefined,
  failed: () => undefined,
} as const;

/** Nobody hears of what comes of it. */
const unheard = (call: Promise<unknown>): void => void call.catch(() => undefined);

/** What has been sent by now is on its way. */
const sent = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const isRunning = (argument: string): boolean =>
  readdirSync('/proc').some((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1') === `sleep\0${argument}\0`;
    } catch {
      return false;
    }
  });

test('a command and a terminal that were just being started are known to the next gateway, and end with their lease', async () => {
  const first = await link.reach();
  const { start, terminal } = await lease(first);
  unheard(start('sleep 8101'));
  unheard(terminal('sleep 8102'));
  await sent();
  first.leave();
  const second = await link.reach();
  const kept = second.takeKept('slot_0');
  expect([kept?.processes.size, kept?.terminal === null]).toEqual([1, false]);
  await until('both run', () => isRunning('8101') && isRunning('8102'));
  if (kept !== null) await endKept(kept, second);
  await until('both are dead', () => !isRunning('8101') && !isRunning('8102'));
});

test("a recording that was just begun has all that makes it somebody's", async () => {
  const first = await link.reach();
  const pool = new Pool({ ...POOL, keeper: first });
  await pool.open();
  const holder = { id: 'one', close: () => undefined };
  const request = { label: null, network: 'none', graceMs: 60_000, key: 'a key that nobody guesses' } as const;
  unheard(pool.acquire('slot_0', request, holder));
  // As soon as the keeper can have it: whatever the gateway would have said next is never said.
  await sent();
  first.leave();
  const second = await link.reach();
  const next = new Pool({ ...POOL, keeper: second });
  await next.open();
  expect((await next.acquire('slot_0', request, holder)).known).toBe(true);
  expect(readdirSync(castDirectory(link.home.dataDir)).filter((name) => name.endsWith('.cast'))).toHaveLength(1);
  await next.close('the test is over');
});

test('a recording that was just being closed is nothing for the next gateway', async () => {
  const first = await link.reach();
  const { terminal } = await lease(first);
  await (await terminal('seq 1 1000000')).ended;
  unheard(first.closeLog('cast_one'));
  await sent();
  first.leave();
  expect((await link.reach()).takeKept('slot_0')).toBeNull();
});

test('a lease that ends while its recording is replayed ends', async () => {
  const first = await link.reach();
  const { terminal } = await lease(first);
  await (await terminal('seq 1 1500000')).ended;
  first.leave();
  const second = await link.reach();
  const kept = second.takeKept('slot_0');
  const replayed = kept?.replay(() => sent()).catch(() => undefined);
  await sent();
  await second.closeLog('cast_one');
  await replayed;
  expect(kept?.log.closed).toBe(true);
}, 60_000);

test('a recording that cannot be read does not stop its terminal', async () => {
  const first = await link.reach();
  const { log, terminal } = await lease(first);
  await terminal('seq 1 500000; echo END; read x; echo GOT $x; sleep 1000');
  await until('all is printed', () => {
    const read = log.read(log.lastSeq - 1, 100_000);
    return Array.isArray(read) && read.some(({ data }) => data.includes('END'));
  });
  first.leave();
  rmSync(castPath(link.home.dataDir, 'cast_one'));
  const second = await link.reach();
  const kept = second.takeKept('slot_0');
  await kept?.replay(async () => undefined);
  expect(kept?.log.replaying).toBe(false);
  const before = kept?.log.lastSeq ?? 0;
  await kept?.terminal?.write('this\r');
  await until('it prints', () => (kept?.log.lastSeq ?? 0) > before);
  await kept?.terminal?.kill();
  expect(link.said.join()).toContain('could not be read');
  expect(existsSync(castDirectory(link.home.dataDir))).toBe(true);
}, 60_000);

test('a gateway that comes as the keeper ends has a new one', async () => {
  const first = await link.reach();
  const { start } = await lease(first);
  await start('sleep 1000');
  first.leave();
  process.kill(first.pid, 'SIGTERM');
  const second = await link.reach();
  // It may have come before the keeper had its signal.
  await until('there is a new keeper', () => second.pid !== first.pid);
  expect(second.keptSlots()).toEqual([]);
});

test('what a keeper said last is not lost with it', async () => {
  const keeper = await link.reach();
  const log = join(link.home.dataDir, 'keeper.log');
  appendFileSync(log, 'out of memory\n');
  const another = new Promise<void>((resolve) => {
    keeper.restarted = async () => resolve();
  });
  process.kill(keeper.pid, 'SIGKILL');
  await another;
  expect(readFileSync(`${log}.1`, 'utf8')).toContain('out of memory');
});
