import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import type { Params } from '../../protocol/contract.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

let gateway: TestGateway;
let client: Client;

beforeAll(async () => {
  gateway = await startGateway();
  client = await gateway.client();
  await client.call('slot.acquire', { label: 'terminal' });
});
afterAll(() => gateway?.close());
beforeEach(() => client.call('slot.reset', {}));

const run = (command: string, more: Partial<Params<'terminal.run'>> = {}) =>
  client.call('terminal.run', { command, ...more });

describe('terminal.run is exact', () => {
  test.each([
    ['true', 0, ''],
    ['false', 1, ''],
    ['printf "no newline"', 0, 'no newline'],
    ['echo hi # comment', 0, 'hi\n'],
    ['# only a comment', 0, ''],
    ['cat <<EOF\none\n  two\nEOF', 0, 'one\n  two\n'],
    ['cat', 0, ''],
    ['read line; echo "got <$line>"', 0, 'got <>\n'],
    ['(exit 5)', 5, ''],
    ['for i in 1 2 3; do\n  echo $i\ndone', 0, '1\n2\n3\n'],
    ['echo "$((6*7))" | sed s/4/four/', 0, 'four2\n'],
    ['printf "\\e]133;D;0\\a"; false', 1, '\x1b]133;D;0\x07'],
    ['printf "a\\rb\\n"', 0, 'a\rb\n'],
    ['echo äöü 漢字', 0, 'äöü 漢字\n'],
    ['echo !!', 0, '!!\n'],
  ])('%s', async (command, exitCode, output) => {
    expect(await run(command)).toMatchObject({ outcome: 'exited', exitCode, output, truncated: false });
  });

  test('3,000 lines', async () => {
    const { output } = await run('seq 3000');
    expect(output).toBe(`${Array.from({ length: 3000 }, (_, i) => i + 1).join('\n')}\n`);
  });

  test('a script of 100 KB', async () => {
    const result = await run(`x='${'y'.repeat(100_000)}'\necho \${#x}`);
    expect(result).toMatchObject({ exitCode: 0, output: '100000\n' });
  });

  test('cd, export, functions, aliases and background jobs stay', async () => {
    await run(
      'mkdir -p deep/er && cd deep/er && export COLOUR=red && greet() { echo "hi $1"; } && alias ll="echo listed"',
    );
    expect(await run('pwd; echo $COLOUR; greet you')).toMatchObject({
      output: '/workspace/deep/er\nred\nhi you\n',
      cwd: '/workspace/deep/er',
    });
    expect((await run('ll')).output).toBe('listed\n');
    const started = await run('sleep 100 &');
    expect(started).toMatchObject({ outcome: 'exited', exitCode: 0 });
    expect((await run('jobs')).output).toMatch(/Running\s+sleep 100/);
  });

  test('the status of the command before is there as $?', async () => {
    await run('(exit 9)');
    expect((await run('echo $?')).output).toBe('9\n');
  });

  test('unbalanced quotes end with an error and the shell goes on', async () => {
    const broken = await run('echo "never closed');
    expect(broken.outcome).toBe('exited');
    expect(broken.exitCode).not.toBe(0);
    expect((await run('echo fine')).output).toBe('fine\n');
  });

  test.each([
    ['exit 3', 3],
    ['set -e; false', 1],
    ['exec sh', 0],
    ['exec sh -c "exit 6"', 6],
  ])('%s ends the shell with its code and the next call starts a new one', async (command, exitCode) => {
    expect(await run(command)).toMatchObject({ outcome: 'exited', exitCode });
    expect(await run('echo again')).toMatchObject({ exitCode: 0, output: 'again\n' });
  });

  test('a timeout in the middle keeps output, cwd, variables and jobs', async () => {
    await run('mkdir -p here; cd here; kept=yes; sleep 300 &');
    const result = await run('echo begun; sleep 100; echo never', { timeoutMs: 600 });
    expect(result).toMatchObject({ outcome: 'timedOut', exitCode: null });
    expect(result.output).toMatch(/^begun\n/);
    expect(result.output).not.toContain('never');
    const after = await run('pwd; echo $kept; jobs');
    expect(after.output).toMatch(/^\/workspace\/here\nyes\n\[1\].*sleep 300/);
  });

  test('a command that ignores INT and QUIT is still ended by the timeout', async () => {
    const result = await run(`bash -c 'trap "" INT QUIT TERM; echo deaf; while :; do sleep 0.1; done'`, {
      timeoutMs: 400,
    });
    expect(result).toMatchObject({ outcome: 'timedOut' });
    expect(result.output).toMatch(/^deaf\n/);
    expect((await run('echo alive')).output).toBe('alive\n');
  });

  test('two callers at once each get their own output', async () => {
    const both = await Promise.all([run('echo one; sleep 0.2; echo 1'), run('echo two; echo 2')]);
    expect(both.map(({ output }) => output)).toEqual(['one\n1\n', 'two\n2\n']);
  });

  test('output above the limit keeps head and tail with the exact count', async () => {
    const result = await run('seq 100000', { maxOutputBytes: 200 });
    expect(result).toMatchObject({ truncated: true, outputBytes: 588_895 });
    expect(result.output).toMatch(/^1\n2\n/);
    expect(result.output).toMatch(/100000\n$/);
  });

  test('a shell whose prompt hooks were destroyed still ends its commands', async () => {
    const broken = await run('unset PROMPT_COMMAND PS0; PS1="mine> "', { timeoutMs: 3000 });
    expect(['exited', 'timedOut']).toContain(broken.outcome);
    expect(await run('echo back')).toMatchObject({ output: 'back\n', exitCode: 0 });
  });

  test('a narrow terminal does not change what a command prints', async () => {
    await client.call('terminal.resize', { cols: 20, rows: 5 });
    const long = 'x'.repeat(90);
    expect((await run(`echo ${long}`)).output).toBe(`${long}\n`);
    await client.call('terminal.resize', { cols: 120, rows: 40 });
  });

  test('colours are kept as printed', async () => {
    expect((await run('printf "\\e[31mred\\e[0m\\n"')).output).toBe('\x1b[31mred\x1b[0m\n');
  });
});

describe('full-screen programs', () => {
  const keys = (...list: string[]) => client.call('terminal.keys', { keys: list });
  const screen = async () => (await client.call('terminal.capture', {})).text;
  const shows = async (text: string) => {
    const { matched, text: seen } = await client.call('terminal.wait', { text, timeoutMs: 10_000 });
    expect(matched, seen).toBe(true);
  };
  const atPrompt = async () => {
    expect((await client.call('terminal.wait', { prompt: true, timeoutMs: 10_000 })).matched).toBe(true);
  };

  test('vim edits a file by keys; terminal.run is busy meanwhile', async () => {
    await keys('vim -u NONE -N hello.txt', 'Enter');
    await shows('hello.txt');
    await keys('i', 'Hello from vim', 'Escape');
    await shows('Hello from vim');
    expect(await client.call('terminal.capture', {})).toMatchObject({ alternateScreen: true });
    await expect(run('echo no')).rejects.toMatchObject({ fault: 'TERMINAL_BUSY' });
    await keys(':wq', 'Enter');
    await atPrompt();
    expect((await client.call('file.read', { path: 'hello.txt' })).data).toBe('Hello from vim\n');
    expect((await run('echo free')).output).toBe('free\n');
  });

  test('less pages and quits', async () => {
    await run('seq 1000 > numbers');
    await keys('less numbers', 'Enter');
    await shows('numbers');
    await keys('G');
    await shows('1000');
    await keys('q');
    await atPrompt();
  });

  test.each(['top', 'htop'])('%s draws and quits', async (program) => {
    await keys(program, 'Enter');
    await shows('PID');
    await keys('q');
    await atPrompt();
    expect(await screen()).toContain('$');
  });

  test('C-c stops a command that was typed', async () => {
    // Said by the child itself: bash, interrupted before its child has the terminal, would go on waiting for it.
    await keys(`sh -c 'echo under""way; exec sleep 1000'`, 'Enter');
    await shows('underway');
    await keys('C-c');
    await atPrompt();
    expect((await run('echo $?')).output).toBe('130\n');
  });
});

describe('waiting and looking', () => {
  test('wait for text, a regular expression, quiet, and a timeout', async () => {
    await client.call('terminal.write', { data: "sleep 0.2; echo re''ady-$((40+2))\r" });
    expect(await client.call('terminal.wait', { text: 'ready-42', timeoutMs: 5000 })).toMatchObject({ matched: true });
    expect(await client.call('terminal.wait', { regex: '^ready-\\d+$', timeoutMs: 5000 })).toMatchObject({
      matched: true,
    });
    expect(await client.call('terminal.wait', { idleMs: 100, timeoutMs: 5000 })).toMatchObject({ matched: true });
    expect(await client.call('terminal.wait', { text: 'never', timeoutMs: 100 })).toMatchObject({ matched: false });
  });

  test('capture gives text, colours and history', async () => {
    await run('printf "\\e[31mred\\e[0m\\n"; seq 200');
    const { text } = await client.call('terminal.capture', { history: 500 });
    expect(text).toContain('red\n1\n2\n3\n');
    expect((await client.call('terminal.capture', { history: 500, format: 'ansi' })).text).toMatch(/\x1b\[(0;)?31mred/);
    expect((await client.call('terminal.capture', {})).text).not.toContain('red');
  });

  test('a size beyond the limits is clamped', async () => {
    expect(await client.call('terminal.resize', { cols: 10_000, rows: 1 })).toEqual({ cols: 500, rows: 5 });
    expect((await run('stty size </dev/tty')).output).toBe('5 500\n');
    await client.call('terminal.resize', { cols: 120, rows: 40 });
  });

  test('terminal.stop tells the exit code, and the next call starts a new shell', async () => {
    await run('x=1');
    expect(await client.call('terminal.stop', {})).toHaveProperty('exitCode');
    expect((await run('echo "<$x>"')).output).toBe('<>\n');
  });

  test('the terminal runs in the same workspace and /tmp as exec', async () => {
    await run('echo a > /tmp/both; echo b > file');
    expect((await client.call('exec.run', { command: 'cat /tmp/both file' })).stdout).toBe('a\nb\n');
  });

  test('a program that asks the terminal gets exactly one answer, whoever watches', async () => {
    const viewer = await gateway.client();
    await viewer.call('watch.start', { slot: 'slot_0' });
    await run(`cat > ask.py <<'EOF'
import os, select, sys, termios, tty
fd = os.open('/dev/tty', os.O_RDWR)
old = termios.tcgetattr(fd)
tty.setraw(fd)
os.write(fd, b'\\x1b[6n')
answer = b''
while select.select([fd], [], [], 0.7)[0]:
    answer += os.read(fd, 100)
termios.tcsetattr(fd, termios.TCSANOW, old)
print(answer.count(b'R'))
EOF`);
    expect((await run('python3 ask.py')).output.trim()).toMatch(/1$/);
  });
});

describe('hostile output', () => {
  test.each([
    ['a repeated cluster', "printf 'xe\\314\\201\\314\\201\\314\\201\\033[2147483647b\\033[c'"],
    [
      'lines without end',
      "printf '\\033[2147483647L\\033[2147483647M\\033[2147483647S\\033[2147483647T\\033[2147483647I\\033[c'",
    ],
    [
      'marks without end on one character',
      'printf e; head -c 400000 /dev/zero | sed "s/\\x00/\\xcc\\x81/g"; printf "\\033[c"',
    ],
    [
      'links without end',
      'for i in $(seq 3000); do printf "\\033]8;;http://example.org/$i\\ax\\033]8;;\\a\\r"; done; printf "\\033[c"',
    ],
  ])('%s neither blocks nor ends the gateway', async (_name, command) => {
    await run(command);
    const started = performance.now();
    await client.call('terminal.capture', {});
    expect((await client.call('exec.run', { command: 'echo alive' })).stdout).toBe('alive\n');
    // Not a matter of speed: unbounded, the first takes hours.
    expect(performance.now() - started).toBeLessThan(20_000);
  });
});
