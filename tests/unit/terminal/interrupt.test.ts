import { afterEach, beforeEach, expect, test } from 'vitest';
import { Fault } from '../../../protocol/fault.ts';
import { type Bench, openBench, shownLines } from './fixture.ts';

let bench: Bench;

beforeEach(async () => {
  bench = await openBench();
});

afterEach(async () => {
  await bench.close();
});

const faultOf = async (call: Promise<unknown>): Promise<string> => {
  try {
    await call;
  } catch (error) {
    if (error instanceof Fault) return error.fault;
    throw error;
  }
  throw new Error('it did not fail');
};

const never = () => new AbortController().signal;

async function keysWhenReady(keys: string[], text: string): Promise<void> {
  await bench.terminal.keys(keys);
  const seen = await bench.terminal.wait({ text, timeoutMs: 5000 }, never());
  expect(seen).toMatchObject({ matched: true });
}

test('a timeout keeps the output so far, the shell, its cwd, variables and jobs', async () => {
  await bench.run('sleep 1000 &');
  const result = await bench.run('cd /; x=1; echo one; sleep 100; echo two', { timeoutMs: 300 });
  expect(result).toMatchObject({ outcome: 'timedOut', exitCode: null, output: 'one\n', outputBytes: 4, cwd: '/' });
  expect(result.durationMs).toBeGreaterThanOrEqual(300);
  expect(await bench.run('echo "$x $(jobs -r | wc -l)"; pwd')).toMatchObject({ exitCode: 0, output: '1 1\n/\n' });
});

test.each([
  ['a loop of the shell itself', 'while :; do :; done'],
  ['a loop around commands', 'while :; do sleep 0.01; done'],
  ['a program that ignores C-c', 'sh -c \'trap "" INT; sleep 100; sleep 100\''],
  ['a program that ignores C-c and C-\\', 'sh -c \'trap "" INT QUIT; while :; do sleep 1; done\''],
  ['a program that ignores all that can be ignored', 'sh -c \'trap "" INT QUIT TERM; while :; do sleep 1; done\''],
  ['a program that reads the terminal', 'cat </dev/tty'],
  ['the shell reading the terminal', 'read line </dev/tty'],
  ['waiting for a job', 'sleep 100 & wait'],
  ['a pipeline', 'yes | cat >/dev/null'],
  ['a flood', 'yes'],
  ['a full-screen program', 'less /etc/services </dev/tty'],
  ['an editor', 'vim -u NONE </dev/tty'],
  ['a program in raw mode', 'stty raw -echo </dev/tty; cat </dev/tty'],
])('%s is stopped at the timeout and the same shell goes on', async (_name, command) => {
  await bench.run('kept=1; stty_before=$(stty -g </dev/tty)');
  expect(await bench.run(command, { timeoutMs: 200 })).toMatchObject({ outcome: 'timedOut', exitCode: null });
  expect(await bench.run('echo "$kept"')).toMatchObject({ outcome: 'exited', exitCode: 0, output: '1\n' });
  expect(await bench.run('jobs -r | grep -v "sleep 100"')).toMatchObject({ output: '' });
});

test('a script that the shell itself will not give up ends with the shell, and the next call starts a new one', async () => {
  const result = await bench.run("trap '' INT; while :; do :; done", { timeoutMs: 200 });
  expect(result).toMatchObject({ outcome: 'timedOut', exitCode: null, cwd: null });
  expect(await bench.run('echo new')).toMatchObject({ exitCode: 0, output: 'new\n' });
});

test('a timeout that is longer than the command changes nothing', async () => {
  expect(await bench.run('sleep 0.1; echo x', { timeoutMs: 5000 })).toMatchObject({ outcome: 'exited', output: 'x\n' });
  expect(await bench.run('sleep 0.1; echo x', { timeoutMs: 0 })).toMatchObject({ outcome: 'exited', output: 'x\n' });
});

test('a call that is cancelled stops its command, and the terminal serves the next one', async () => {
  const controller = new AbortController();
  const call = bench.run('x=kept; echo started; sleep 100', { signal: controller.signal });
  await bench.terminal.wait({ regex: '^started', timeoutMs: 5000 }, never());
  controller.abort();
  expect(await faultOf(call)).toBe('CANCELLED');
  expect(await bench.run('echo $x; jobs')).toMatchObject({ exitCode: 0, output: 'kept\n' });
});

test('a call that is cancelled in the queue never runs and holds up nobody', async () => {
  const controller = new AbortController();
  const first = bench.run('sleep 0.2; echo first');
  const second = bench.run('echo second >second', { signal: controller.signal });
  const third = bench.run('ls; echo third');
  controller.abort();
  expect(await faultOf(second)).toBe('CANCELLED');
  expect((await first).output).toBe('first\n');
  expect((await third).output).toBe('third\n');
});

test('stopping the terminal ends the run in it', async () => {
  const call = bench.run('echo started; sleep 100');
  await bench.terminal.wait({ regex: '^started', timeoutMs: 5000 }, never());
  await bench.terminal.stop();
  expect(await call).toMatchObject({ output: 'started\n', cwd: null });
  expect(bench.terminal.info()).toBeNull();
  expect(await bench.run('echo new')).toMatchObject({ output: 'new\n' });
});

test('a full-screen program that was started by keys makes runs TERMINAL_BUSY at once, until it is quit', async () => {
  await bench.run('printf "some text\\n" >file');
  await keysWhenReady(['vim -u NONE file', 'Enter'], '"file"');
  expect(await faultOf(bench.run('echo x'))).toBe('TERMINAL_BUSY');
  const { alternateScreen, text } = await bench.terminal.capture({ history: 0, format: 'text' });
  expect(alternateScreen).toBe(true);
  expect(text.startsWith('some text')).toBe(true);
  await bench.terminal.keys(['i', 'more ', 'Escape', ':wq', 'Enter']);
  expect(await bench.terminal.wait({ prompt: true, timeoutMs: 5000 }, never())).toMatchObject({ matched: true });
  expect(await bench.run('cat file')).toMatchObject({ exitCode: 0, output: 'more some text\n' });
});

test.each([
  ['less /etc/services', 'q'],
  ['top', 'q'],
  ['htop', 'q'],
])('%s is started, captured and quit by keys', async (command, quit) => {
  await bench.terminal.keys([command, 'Enter']);
  const shows = await bench.terminal.wait(
    { regex: command === 'less /etc/services' ? 'tcpmux' : 'PID', timeoutMs: 5000 },
    never(),
  );
  expect(shows.matched).toBe(true);
  expect(await faultOf(bench.run('echo x', { timeoutMs: 100 }))).toBe('TERMINAL_BUSY');
  await bench.terminal.keys([quit]);
  expect(await bench.terminal.wait({ prompt: true, timeoutMs: 5000 }, never())).toMatchObject({ matched: true });
  expect(await bench.run('echo x')).toMatchObject({ exitCode: 0, output: 'x\n' });
});

test('cursor keys reach a program in the encoding that it asked for', async () => {
  await bench.run('printf "%s\\n" one two three >file');
  await keysWhenReady(['vim -u NONE -c "set nocompatible" file', 'Enter'], 'three');
  await bench.terminal.keys(['Down', 'Right', 'x', 'Up', 'Home', 'x', ':wq', 'Enter']);
  await bench.terminal.wait({ prompt: true, timeoutMs: 5000 }, never());
  expect((await bench.run('cat file')).output).toBe('ne\nto\nthree\n');
});

test('a command that was started by keys is waited for a moment, then the terminal is busy', async () => {
  await bench.terminal.keys(['sleep 0.3; echo done', 'Enter']);
  expect(await bench.run('echo x')).toMatchObject({ output: 'x\n' });
  await bench.terminal.keys(['sleep 100', 'Enter']);
  expect(await faultOf(bench.run('echo x', { timeoutMs: 200 }))).toBe('TERMINAL_BUSY');
  await bench.terminal.keys(['C-c']);
  expect(await bench.run('echo x; echo $?')).toMatchObject({ output: 'x\n0\n' });
});

test('another shell in the terminal makes it busy, and is as it was after it', async () => {
  await keysWhenReady(['PS1="inner> " bash --norc', 'Enter'], 'inner>');
  expect(await faultOf(bench.run('echo x', { timeoutMs: 300 }))).toBe('TERMINAL_BUSY');
  await bench.terminal.keys(['exit', 'Enter']);
  expect(await bench.run('echo x')).toMatchObject({ output: 'x\n' });
});

test.each([
  ['text', ['rm -rf half typed']],
  ['text in the middle', ['half typed', 'C-a']],
  ['an open quote', ["echo 'open", 'Enter']],
  ['an open heredoc', ['cat <<EOF', 'Enter', 'line', 'Enter']],
  ['a search in the history', ['C-r', 'ech']],
  ['a pending C-v', ['half', 'C-v']],
  ['a pending Escape', ['half', 'Escape']],
  ['an argument', ['M-4', 'x']],
])('%s on the command line is cleared before a run, and $? kept', async (_name, keys) => {
  await bench.run('(exit 7)');
  await bench.terminal.keys(keys);
  expect(await bench.run('echo $?')).toMatchObject({ exitCode: 0, output: '7\n' });
  expect(await bench.run('echo $?')).toMatchObject({ exitCode: 0, output: '0\n' });
});

test('vi mode with half a command is cleared too', async () => {
  await bench.run('set -o vi');
  await bench.terminal.keys(['rm -rf half', 'Escape', 'b']);
  expect(await bench.run('echo x')).toMatchObject({ exitCode: 0, output: 'x\n' });
});

test('what was typed ahead while a command ran does not get into the next run', async () => {
  const call = bench.run('sleep 0.2; echo first');
  await bench.terminal.wait({ text: 'sleep 0.2', timeoutMs: 5000 }, never());
  await bench.terminal.write('touch typed-ahead');
  expect((await call).output).toContain('first\n');
  await bench.terminal.wait({ regex: '\\$|# touch typed-ahead$', timeoutMs: 5000 }, never());
  expect(await bench.run('ls')).toMatchObject({ exitCode: 0, output: '' });
});

test('a resize while a command is half typed does not make the line count as empty', async () => {
  await bench.terminal.keys(['echo half']);
  await bench.terminal.resize({ cols: 60, rows: 20 });
  await bench.terminal.wait({ text: 'echo half', timeoutMs: 5000 }, never());
  expect(await bench.run('echo $COLUMNS')).toMatchObject({ output: '60\n' });
});

test('exec of another shell by keys is noticed, and runs work in it', async () => {
  await bench.terminal.keys(['exec bash --norc', 'Enter']);
  expect(await bench.terminal.wait({ prompt: true, timeoutMs: 5000 }, never())).toMatchObject({ matched: true });
  expect(await bench.run('echo x; false')).toMatchObject({ exitCode: 1, output: 'x\n' });
});

test('the screen after a timeout shows the interrupt and a new prompt', async () => {
  await bench.run('sleep 100', { timeoutMs: 100 });
  expect(await shownLines(bench)).toEqual(['~ $ sleep 100', '^C', '~ $']);
});
