import { afterEach, beforeEach, expect, test } from 'vitest';
import { Fault } from '../../../protocol/fault.ts';
import { type Bench, openBench } from './fixture.ts';

let bench: Bench;

beforeEach(async () => {
  bench = await openBench();
});

afterEach(async () => {
  await bench.close();
});

interface Limit {
  text?: string;
  regex?: string;
  idleMs?: number;
  prompt?: boolean;
  timeoutMs?: number;
}

const wait = (limit: Limit, signal = new AbortController().signal) =>
  bench.terminal.wait({ timeoutMs: 10_000, ...limit }, signal);

const faultOf = async (call: Promise<unknown>): Promise<string> => {
  try {
    await call;
  } catch (error) {
    if (error instanceof Fault) return `${error.fault}: ${error.message}`;
    throw error;
  }
  throw new Error('it did not fail');
};

test('waiting for text ends as soon as the screen shows it', async () => {
  await bench.terminal.keys(['sleep 0.2; echo "fin"ished', 'Enter']);
  const startedMs = performance.now();
  const { matched, text, seq } = await wait({ text: 'finished' });
  expect(matched).toBe(true);
  expect(performance.now() - startedMs).toBeGreaterThan(150);
  expect(text.split('\n')).toContain('finished');
  expect(seq).toBeLessThanOrEqual(bench.log.lastSeq);
});

test('text that is there already matches at once', async () => {
  await bench.run('echo here');
  expect((await wait({ text: 'here', timeoutMs: 0 })).matched).toBe(true);
});

test('a regex is tested against every line of the screen', async () => {
  await bench.terminal.keys(['sleep 0.1; echo "code=$((6*7))"', 'Enter']);
  expect((await wait({ regex: '^code=\\d+$' })).matched).toBe(true);
});

test('what never comes is not matched at the timeout, and the screen is told', async () => {
  await bench.run('echo something else');
  const startedMs = performance.now();
  const { matched, text } = await wait({ text: 'never', timeoutMs: 200 });
  expect(matched).toBe(false);
  expect(text).toContain('something else');
  expect(performance.now() - startedMs).toBeGreaterThan(190);
  expect((await wait({ regex: '^never$', timeoutMs: 100 })).matched).toBe(false);
  expect((await wait({ idleMs: 5000, timeoutMs: 100 })).matched).toBe(false);
});

test('a regex that backtracks forever fails alone, and the event loop is free meanwhile', async () => {
  await bench.run(`echo ${'a'.repeat(60)}`);
  let longestMs = 0;
  let lastMs = performance.now();
  const timer = setInterval(() => {
    longestMs = Math.max(longestMs, performance.now() - lastMs);
    lastMs = performance.now();
  }, 5);
  const failed = await faultOf(wait({ regex: '^(a+)+(b|c)$' }));
  clearInterval(timer);
  expect(failed).toMatch(/^INVALID_PARAMS: regex takes longer than/);
  expect(longestMs).toBeLessThan(1000);
  expect((await wait({ text: 'aaa' })).matched).toBe(true);
});

test('what is no regex is INVALID_PARAMS', async () => {
  expect(await faultOf(wait({ regex: '(' }))).toMatch(/^INVALID_PARAMS: regex: /);
});

test('idleMs waits until the output rests', async () => {
  await bench.terminal.keys(['for i in 1 2 3 4 5; do echo $i; sleep 0.1; done', 'Enter']);
  const { matched, text } = await wait({ idleMs: 300 });
  expect(matched).toBe(true);
  expect(text).toContain('\n5\n');
});

test('prompt waits for the end of what was typed just before', async () => {
  await bench.terminal.keys(['sleep 0.2; echo "fin"ished', 'Enter']);
  const { matched, text } = await wait({ prompt: true });
  expect(matched).toBe(true);
  expect(text).toContain('\nfinished\n');
  expect((await wait({ prompt: true, timeoutMs: 0 })).matched).toBe(true);
});

test('prompt is not the prompt of an unfinished command', async () => {
  await bench.terminal.keys(["echo 'open", 'Enter']);
  await wait({ regex: '^>' });
  expect((await wait({ prompt: true, timeoutMs: 100 })).matched).toBe(false);
  await bench.terminal.keys(["'", 'Enter']);
  expect((await wait({ prompt: true })).matched).toBe(true);
});

test.each([{ text: 'never' }, { regex: '^never$' }, { prompt: true }, { idleMs: 9000 }])(
  'the end of the shell ends a wait for %j',
  async (limit) => {
    await bench.terminal.keys(['sleep 0.2; exit 3', 'Enter']);
    expect(await faultOf(wait(limit))).toMatch(/^TERMINAL_ENDED/);
  },
);

test('what the shell printed last is still matched', async () => {
  await bench.terminal.keys(['sleep 0.1; echo "good"bye; exit', 'Enter']);
  expect((await wait({ text: 'goodbye' })).matched).toBe(true);
});

test.each([{ text: 'never' }, { regex: '^never$' }, { prompt: true }, { idleMs: 9000 }])(
  'a wait for %j can be cancelled',
  async (limit) => {
    await bench.terminal.keys(['while sleep 0.1; do echo .; done', 'Enter']);
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 100);
    expect(await faultOf(wait(limit, controller.signal))).toMatch(/^CANCELLED/);
  },
);
