import { execFile } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { V2Converter } from '../../../protocol/asciicast-v2.ts';
import { startLabel } from '../../../protocol/command-mark.ts';
import { castPath } from '../../../server/keeper/cast-place.ts';
import { statOf } from '../../../server/keeper/foreground.ts';
import type { FrameLog } from '../../../server/keeper/frame-log.ts';
import type { KeptTerminal, ProcessOrder } from '../../../server/keeper/keeper.ts';
import { LocalKeeper } from '../../../server/keeper/local-keeper.ts';
import { UNSEALED_LABEL } from '../../../server/keeper/recovery.ts';
import { eventsOf, outputOf, readCast, scratch } from './scratch.ts';
import { until } from './until.ts';

const run = promisify(execFile);
const keepers: LocalKeeper[] = [];
let dataDir: string;
let problems: unknown[];

beforeEach(async () => {
  dataDir = await scratch();
  await chmod(dataDir, 0o711);
  problems = [];
});

afterEach(async () => {
  for (const keeper of keepers.splice(0)) await keeper.close();
});

async function open(options: { recordInput?: boolean } = {}): Promise<LocalKeeper> {
  const policy = { sandbox: 'bwrap', mounts: [], network: 'none' } as const;
  const log = { error: (...problem: unknown[]) => void problems.push(problem) };
  const keeper = await LocalKeeper.open({ dataDir, policy, log, ...options });
  keepers.push(keeper);
  return keeper;
}

interface Session {
  readonly log: FrameLog;
  readonly terminal: KeptTerminal;
  readonly path: string;
}

async function terminal(keeper: LocalKeeper, script: string, cast = 'cast_1'): Promise<Session> {
  const place = await keeper.preparePlace('slot_0');
  const log = await keeper.openLog({ cast, slot: 'slot_0', label: 'büild', cols: 120, rows: 40 });
  const argv = ['bash', '-c', script];
  const spec = { place, network: 'none', cast, cols: 120, rows: 40, env: {}, argv } as const;
  return { log, terminal: await keeper.startTerminal(spec), path: castPath(dataDir, cast) };
}

const order: ProcessOrder = {
  run: { command: 'echo hello; sleep 1000' },
  cwd: '/workspace',
  env: {},
  input: null,
  stdin: 'closed',
  timeoutMs: 0,
  idleTimeoutMs: 0,
  maxOutputBytes: 1000,
};

test('a terminal and markers become a sealed recording that says whose it is', async () => {
  const keeper = await open();
  const before = Date.now();
  const { log, terminal: shell, path } = await terminal(keeper, 'echo héllo; exit 4');
  log.append('m', startLabel('p1', 'make'));
  await shell.ended;
  await keeper.closeLog('cast_1');
  const items = await readCast(path);
  expect(items[0]).toMatchObject({
    kind: 'header',
    header: {
      version: 3,
      cols: 120,
      rows: 40,
      termType: 'xterm-256color',
      title: 'büild',
      env: { SHELL: '/bin/bash', TERM: 'xterm-256color' },
      slotcast: { cast: 'cast_1', slot: 'slot_0', label: 'büild', startedAt: expect.any(Number) },
    },
  });
  const header = items[0]?.kind === 'header' ? items[0].header : null;
  expect(header?.slotcast?.startedAt).toBeGreaterThanOrEqual(before);
  expect(outputOf(items)).toBe('héllo\r\n');
  expect(eventsOf(items)).toContainEqual(['m', 'p1 $ make']);
  expect(eventsOf(items)).toContainEqual(['x', '4']);
  expect(items.at(-1)).toMatchObject({ kind: 'seal', seal: { frames: items.length - 2, commands: 1 } });
  expect(() => log.append('o', 'late')).toThrow('closed');
  await keeper.closeLog('cast_1');
  expect(problems).toEqual([]);
});

test('recordings are for the own user alone, and their names lead nowhere else', async () => {
  const keeper = await open();
  await keeper.openLog({ cast: 'cast_1', slot: 'slot_0', label: null, cols: 80, rows: 24 });
  expect(statSync(join(dataDir, 'casts')).mode & 0o777).toBe(0o700);
  expect(statSync(castPath(dataDir, 'cast_1')).mode & 0o777).toBe(0o600);
  for (const cast of ['cast_/../../x', '../x', '']) {
    await expect(keeper.openLog({ cast, slot: 'slot_0', label: null, cols: 80, rows: 24 })).rejects.toThrow();
  }
});

test('a flood of 50 MB is in the recording byte by byte and in order, in bounded memory', async () => {
  const keeper = await open();
  // Numbered lines, so that order counts; about 50 MB on the terminal.
  const script = `stty -opost; seq -f '%012.0f yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy' 1 940000`;
  let peak = 0;
  const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 50);
  const before = process.memoryUsage().rss;
  const { terminal: shell, path } = await terminal(keeper, script);
  expect(await shell.ended).toEqual({ exitCode: 0 });
  await keeper.closeLog('cast_1');
  clearInterval(watch);
  expect(peak - before).toBeLessThan(200 * 1024 * 1024);
  let expected = 0;
  let rest = '';
  for (const item of await readCast(path)) {
    if (item.kind !== 'event' || item.code !== 'o') continue;
    const parts = (rest + item.data).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) {
      expected++;
      if (line !== `${String(expected).padStart(12, '0')} ${'y'.repeat(40)}`)
        throw new Error(`line ${expected}: ${line}`);
    }
  }
  expect([expected, rest]).toEqual([940_000, '']);
}, 60_000);

test('a recording that grows can be read up to its last frame', async () => {
  const keeper = await open();
  const { log, path } = await terminal(keeper, 'sleep 1000');
  log.append('m', startLabel('p1', 'make'));
  log.append('o', 'now');
  await keeper.flushLog('cast_1');
  expect(eventsOf(await readCast(path)).at(-1)).toEqual(['o', 'now']);
  await keeper.closeLog('cast_1');
  await keeper.flushLog('cast_1');
});

test('closing kills what runs and seals every recording', async () => {
  const keeper = await open();
  const { path } = await terminal(keeper, 'echo ready; sleep 54321');
  const place = await keeper.preparePlace('slot_0');
  const child = await keeper.startProcess({ place, network: 'none', order });
  const starting = terminal(keeper, 'sleep 54322', 'cast_2').catch((error: unknown) => error);
  await Promise.all([keeper.close(), keeper.close()]);
  expect((await child.ended).outcome).not.toBe('exited');
  await starting;
  expect((await readCast(path)).at(-1)?.kind).toBe('seal');
  const { stdout } = await run('ps', ['-eo', 'pid=,args=']);
  const left = stdout
    .split('\n')
    .filter((line) => /sleep 5432[12]/.test(line) && statOf(Number.parseInt(line, 10))?.alive);
  expect(left).toEqual([]);
  await expect(
    keeper.openLog({ cast: 'cast_3', slot: 'slot_0', label: null, cols: 80, rows: 24 }),
  ).rejects.toMatchObject({
    fault: 'SHUTTING_DOWN',
  });
});

test('what a crash left is ended at the next start', async () => {
  const first = await open();
  const { log } = await terminal(first, 'echo one; sleep 1000');
  await until(() => log.lastSeq > 0, 'output');
  const path = castPath(dataDir, 'cast_1');
  await until(async () => (await readCast(path)).length > 1, 'it is written');
  const torn = readFileSync(path);
  await first.close();
  writeFileSync(path, torn.subarray(0, torn.length - 2));
  writeFileSync(castPath(dataDir, 'cast_2'), '{"version":3,"te');
  const second = await open();
  expect(eventsOf(await readCast(path)).at(-1)).toEqual(['m', UNSEALED_LABEL]);
  expect(existsSync(`${castPath(dataDir, 'cast_2')}.damaged`)).toBe(true);
  expect(second.capabilities()['sandbox']).toMatchObject({ ok: true });
});

test('a terminal without an open log is refused', async () => {
  const keeper = await open();
  const place = await keeper.preparePlace('slot_0');
  const spec = { place, network: 'none', cast: 'cast_9', cols: 80, rows: 24, env: {}, argv: ['bash'] } as const;
  await expect(keeper.startTerminal(spec)).rejects.toThrow('no open log cast_9');
});

test.skipIf(!existsSync('/usr/bin/asciinema'))('the v2 form of a recording plays in asciinema', async () => {
  const keeper = await open();
  const { terminal: shell, path } = await terminal(keeper, `printf '\\e[31mrot\\e[0m é→😀\\n'; stty cols 90`);
  await shell.ended;
  await keeper.closeLog('cast_1');
  const file = join(dataDir, 'v2.cast');
  writeFileSync(file, new V2Converter().convert(readFileSync(path)));
  chmodSync(file, 0o644);
  const env = { PATH: process.env['PATH'], LANG: 'C.UTF-8', HOME: dataDir };
  await run('script', ['-qec', `asciinema cat ${file} > ${dataDir}/cat`, '/dev/null'], { env });
  await run('script', ['-qec', `asciinema play -s 1000 ${file}`, join(dataDir, 'play')], { env });
  expect(readFileSync(join(dataDir, 'cat'), 'utf8')).toBe('\u001b[31mrot\u001b[0m é→😀\r\n');
  expect(readFileSync(join(dataDir, 'play'), 'utf8')).toContain('\u001b[31mrot\u001b[0m é→😀');
});
