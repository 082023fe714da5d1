import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../../server/keeper/clock.ts';
import { PtyChild, type PtyChildOptions, type PtyExit } from '../../../server/keeper/pty-child.ts';
import { openTerminals } from './open-terminals.ts';
import { until } from './until.ts';

const children = new Set<PtyChild>();

afterEach(async () => {
  for (const child of children) child.kill();
  await Promise.all([...children].map((child) => child.exited));
  children.clear();
});

interface Run {
  readonly child: PtyChild;
  text(): string;
}

function run(script: string, options: Partial<PtyChildOptions> = {}): Run {
  const pieces: Buffer[] = [];
  const child = new PtyChild({
    file: '/bin/bash',
    args: ['-c', script],
    env: { PATH: '/usr/bin:/bin' },
    cwd: '/',
    cols: 80,
    rows: 24,
    clock: systemClock,
    output: (bytes) => void pieces.push(Buffer.from(bytes)),
    ...options,
  });
  children.add(child);
  return { child, text: () => Buffer.concat(pieces).toString() };
}

const lines = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, index) => `${from + index}\r\n`).join('');

const sha1 = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex');

function isRunning(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

/** Asleep, and not writing any more. */
async function isBlocked(pid: number): Promise<boolean> {
  const written = () => readFileSync(`/proc/${pid}/io`, 'utf8').match(/wchar: \d+/)?.[0];
  const before = written();
  await new Promise((resolve) => setTimeout(resolve, 20));
  return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') S ') && written() === before;
}

test('nothing that a program prints right before it ends is lost, in 30 tries', async () => {
  for (let attempt = 0; attempt < 30; attempt++) {
    const { child, text } = run('seq 1 2000; echo END');
    expect(await child.exited).toEqual<PtyExit>({ exitCode: 0, signal: 0 });
    expect(text()).toBe(`${lines(1, 2000)}END\r\n`);
  }
});

test('ten programs that end together lose nothing', async () => {
  const runs = Array.from({ length: 10 }, () => run('seq 1 2000; echo END'));
  await Promise.all(runs.map(({ child }) => child.exited));
  for (const { text } of runs) expect(text()).toBe(`${lines(1, 2000)}END\r\n`);
});

test('output that fills the kernel is kept while paused, also when the program ends meanwhile', async () => {
  const { child, text } = run('seq 1 600; echo END');
  child.pause();
  await child.exited;
  expect(text()).toBe(`${lines(1, 600)}END\r\n`);
});

test('a paused program waits, and goes on where it was', async () => {
  const { child, text } = run('seq 1 200000; echo END');
  await until(() => text().length > 0, 'first output');
  child.pause();
  const length = text().length;
  const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8');
  await until(() => isBlocked(Number(children.trim())), 'seq waits for room in the terminal');
  expect(text()).toHaveLength(length);
  child.resume();
  await child.exited;
  expect(text()).toBe(`${lines(1, 200_000)}END\r\n`);
});

test('the exit is told soon after the end', async () => {
  const { child, text } = run('echo $EPOCHREALTIME');
  await child.exited;
  expect(Date.now() - Number(text().trim()) * 1000).toBeLessThan(3000);
});

test.each([
  ['exit 7', { exitCode: 7, signal: 0 }],
  ['kill -TERM $$', { exitCode: null, signal: 15 }],
])('%s ends as %j', async (script, exit) => {
  expect(await run(script).child.exited).toEqual(exit);
});

test('a file that is not there is an exit, not an error', async () => {
  const { child } = run('', { file: '/no/such/file' });
  expect((await child.exited).exitCode).not.toBe(0);
});

test('a background job that holds the terminal does not hold back the end', async () => {
  const { child, text } = run('sleep 30 & echo $!; exit 3');
  expect((await child.exited).exitCode).toBe(3);
  // Closing the terminal hangs up on what is left of the session.
  const pid = Number(text().match(/\d+/)?.[0]);
  await until(() => !isRunning(pid), 'the job got SIGHUP').catch(() => process.kill(pid, 'SIGKILL'));
});

test('what is typed arrives whole, however large', async () => {
  const { child, text } = run('stty raw -echo; echo ready; head -c 400000 | sha1sum');
  await until(() => text().includes('ready'), 'raw mode');
  const typed = 'é→😀x'.repeat(40_000);
  expect(child.write(typed)).toBe(true);
  await child.exited;
  expect(text()).toContain(sha1(Buffer.from(typed).subarray(0, 400_000)));
});

test('a program that reads nothing does not stall us, and input has a limit', async () => {
  const { child, text } = run('stty raw -echo; echo ready; exec sleep 30');
  await until(() => text().includes('ready'), 'raw mode');
  expect(child.write('x'.repeat(900_000))).toBe(true);
  expect(child.write('y'.repeat(900_000))).toBe(false);
});

test('what was printed and not read yet is not lost when C-c is typed', async () => {
  const { child, text } = run('stty -echoctl; echo ready; read -s; seq 1 2000; exec sleep 60');
  await until(() => text().includes('ready'), 'it reads');
  child.pause();
  child.write('\n');
  await until(() => readFileSync(`/proc/${child.pid}/comm`, 'utf8') === 'sleep\n', 'all is printed');
  expect(text()).toBe('ready\r\n');
  child.write('\x03');
  expect(await child.exited).toEqual({ exitCode: null, signal: 2 });
  expect(text()).toContain(lines(1, 2000));
});

test('a resize reaches the program', async () => {
  const { child, text } = run(`trap 'stty size; exit' WINCH; echo ready; while :; do read -t 0.05; done`);
  await until(() => text().includes('ready'), 'the trap');
  child.resize(101, 33);
  await child.exited;
  expect(text()).toContain('33 101');
});

test('calls after the end do nothing', async () => {
  const { child } = run('true');
  await child.exited;
  child.write('x');
  child.resize(80, 24);
  child.pause();
  child.resume();
  child.kill();
});

test('no other child has the terminal: it hangs up when we are gone, whoever goes on', async () => {
  const { text } = run('echo ready; sleep 60');
  await until(() => text().includes('ready'), 'it runs');
  const other = spawn('sleep', ['60'], { stdio: 'ignore' });
  await new Promise((resolve) => other.once('spawn', resolve));
  const fds = readdirSync(`/proc/${other.pid}/fd`).map((fd) => readlinkSync(`/proc/${other.pid}/fd/${fd}`));
  other.kill('SIGKILL');
  expect(fds.filter((target) => /ptmx|pts/.test(target))).toEqual([]);
});

test('no descriptor stays open after the end', async () => {
  const before = openTerminals();
  for (let attempt = 0; attempt < 5; attempt++) await run('true').child.exited;
  await until(() => openTerminals() === before, 'descriptors closed');
});

test('an entry that fails at once is an end like any other, with what it said', async () => {
  const entry = { program: 'print STDERR "no way: $ARGV[0]\\n"; exit 125;', args: ['in'] };
  for (let attempt = 0; attempt < 10; attempt++) {
    const { child, text } = run('echo never', { entry });
    expect(await child.exited).toEqual({ exitCode: 125, signal: 0 });
    expect(text()).toBe('no way: in\r\n');
  }
});
