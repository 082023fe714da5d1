import { readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Fault } from '../../../protocol/fault.ts';
import { type Bench, openBench, until } from './fixture.ts';

let bench: Bench;
let changes: number;

beforeEach(async () => {
  changes = 0;
  bench = await openBench({ changed: () => void changes++ });
});

afterEach(async () => {
  await bench.close();
});

const size = { cols: 100, rows: 30 };

test('start tells the size, and whether it was this call that started the shell', async () => {
  expect(bench.terminal.info()).toBeNull();
  expect(await bench.terminal.start({ ...size, env: { GREETING: 'hello' } })).toEqual({
    ...size,
    started: true,
    network: 'none',
  });
  expect(await bench.terminal.start({ cols: 50, rows: 10 })).toEqual({ ...size, started: false, network: 'none' });
  expect(bench.terminal.info()).toEqual({ ...size, title: '' });
  expect(changes).toBeGreaterThan(0);
  expect((await bench.run('echo $GREETING $COLUMNS $LINES; stty size </dev/tty')).output).toBe(
    'hello 100 30\n30 100\n',
  );
});

test('several first calls at once start one shell', async () => {
  const started = await Promise.all([
    bench.terminal.start(size),
    bench.terminal.start(size),
    bench.run('echo $$').then((result) => result.output),
    bench.run('echo $$').then((result) => result.output),
  ]);
  expect(started.slice(0, 2)).toEqual([
    { ...size, started: true, network: 'none' },
    { ...size, started: false, network: 'none' },
  ]);
  expect(started[2]).toBe(started[3]);
});

test('size and environment are those of the start after the shell has ended too', async () => {
  await bench.terminal.start({ ...size, env: { GREETING: 'hello' } });
  await bench.terminal.resize({ cols: 90, rows: 20 });
  await bench.run('exit');
  expect((await bench.run('echo $GREETING; stty size </dev/tty')).output).toBe('hello\n20 90\n');
});

test('a resize reaches the shell, the programs in it, and the log', async () => {
  await bench.terminal.start(size);
  expect(await bench.terminal.resize({ cols: 77, rows: 33 })).toEqual({ cols: 77, rows: 33 });
  expect(await bench.terminal.resize({ cols: 77, rows: 33 })).toEqual({ cols: 77, rows: 33 });
  expect((await bench.run('stty size </dev/tty; echo $COLUMNS')).output).toBe('33 77\n77\n');
  expect([bench.log.cols, bench.log.rows]).toEqual([77, 33]);
  const frames = bench.log.read(0, Number.POSITIVE_INFINITY);
  const resizes = 'from' in frames ? [] : frames.filter((frame) => frame.code === 'r').map((frame) => frame.data);
  expect(resizes).toEqual(['100x30', '77x33']);
});

test('keys and writes arrive in the order of the calls, also before the first prompt', async () => {
  await Promise.all([
    bench.terminal.write('echo one'),
    bench.terminal.keys(['Home', 'X', 'DC', 'End']),
    bench.terminal.write(' two'),
    bench.terminal.keys(['Enter']),
  ]);
  const limit = { regex: '^.*Xcho one two', timeoutMs: 5000 };
  expect(await bench.terminal.wait(limit, new AbortController().signal)).toMatchObject({ matched: true });
});

test('the title that a program sets is told, without control characters', async () => {
  await bench.run("printf '\\e]2;my \\x01title\\a'");
  expect(bench.terminal.info()).toMatchObject({ title: 'my title' });
});

test('the command that runs is told while it runs', async () => {
  const call = bench.run('sleep 0.2');
  await until(() => bench.terminal.running === 'sleep 0.2');
  await call;
  expect(bench.terminal.running).toBeNull();
});

test('stop tells how the shell ended, and null when there is none', async () => {
  expect(await bench.terminal.stop()).toEqual({ exitCode: null });
  await bench.run('sleep 1000 &');
  expect(Object.keys(await bench.terminal.stop())).toEqual(['exitCode']);
  expect(bench.terminal.info()).toBeNull();
  expect(await bench.terminal.stop()).toEqual({ exitCode: null });
});

test('after close no call starts a shell', async () => {
  await bench.run('true');
  await bench.terminal.close();
  await bench.terminal.close();
  const call = bench.run('true');
  await expect(call).rejects.toBeInstanceOf(Fault);
  await expect(call).rejects.toMatchObject({ fault: 'LEASE_LOST' });
});

test('a program that asks the terminal something gets one answer, which is not typed into the shell', async () => {
  const ask =
    "stty raw -echo </dev/tty; printf '\\e[6n'; read -rsdR answer </dev/tty; stty sane </dev/tty; printf '%q\\n' \"$answer\"";
  expect((await bench.run(ask)).output).toMatch(/\$'\\E\[\d+;\d+'\n$/);
  expect((await bench.run('echo clean')).output).toBe('clean\n');
});

test('an answer that comes after who asked has ended is not printed into the next command', async () => {
  await bench.run("printf 'asks in its last frame'");
  const frames = bench.log.read(0, Number.POSITIVE_INFINITY);
  const asking = 'from' in frames ? undefined : frames.findLast((frame) => frame.data.includes('133;D'));
  const next = bench.run('until [ -e go ]; do sleep 0.01; done; echo done');
  await until(() => JSON.stringify(bench.log.read(asking?.seq ?? 0, Number.POSITIVE_INFINITY)).includes('133;C'));
  bench.terminal.reply('\x1b[7;3R', asking?.seq ?? 0);
  await writeFile(join(bench.place.workspace, 'go'), '');
  expect((await next).output).toBe('done\n');
});

test('what the shell reads from us is not there for its programs once it runs', async () => {
  await bench.run('true');
  await until(async () => (await readdir(bench.place.spool)).length === 0);
  expect((await bench.run('cat /run/slotcast/rc')).exitCode).toBe(1);
  expect((await bench.run('touch /run/slotcast/x')).exitCode).toBe(1);
});

test('a shell that is just being left by keys is not asked to run anything', async () => {
  await bench.run('old=1');
  await bench.terminal.keys(['exit', 'Enter']);
  expect(await bench.run('echo "new$old"')).toMatchObject({ exitCode: 0, output: 'new\n' });
});

test('a sandbox that cannot start is a fault, and the next call tries again', async () => {
  const broken = await openBench();
  try {
    await rename(broken.place.spool, `${broken.place.spool}.away`);
    await expect(broken.run('true')).rejects.toBeInstanceOf(Error);
    expect(broken.terminal.info()).toBeNull();
    await rename(`${broken.place.spool}.away`, broken.place.spool);
    expect(await broken.run('echo x')).toMatchObject({ output: 'x\n' });
  } finally {
    await broken.close();
  }
});
