import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Client, Slot } from '../../client/index.ts';
import type { Params, Result } from '../../protocol/contract.ts';
import { startGateway, type TestGateway, until } from '../support/gateway.ts';

let gateway: TestGateway;
let client: Client;

beforeAll(async () => {
  gateway = await startGateway();
  client = await gateway.client();
  await client.call('slot.acquire', { label: 'exec' });
});
afterAll(() => gateway?.close());

const run = (command: string, more: Params<'exec.run'> = {}): Promise<Result<'exec.run'>> =>
  client.call('exec.run', { command, ...more });

test('a command tells its output, its exit code and that it was sandboxed', async () => {
  const result = await run('echo out; echo err >&2; exit 3');
  expect(result).toMatchObject({
    outcome: 'exited',
    exitCode: 3,
    signal: null,
    stdout: 'out\n',
    stderr: 'err\n',
    stdoutBytes: 4,
    stderrBytes: 4,
    truncated: false,
    sandboxed: true,
  });
});

test('exit 137 and death by KILL are told apart', async () => {
  expect(await run('exit 137')).toMatchObject({ outcome: 'exited', exitCode: 137, signal: null });
  expect(await run('kill -9 $$')).toMatchObject({ outcome: 'signaled', exitCode: null, signal: 'KILL' });
});

test('argv runs without a shell', async () => {
  const result = await client.call('exec.run', { argv: ['printf', '%s|', 'a b', '$HOME', ''] });
  expect(result.stdout).toBe('a b|$HOME||');
});

test('cwd and env are as asked; the rest of the environment is empty', async () => {
  const result = await run('pwd; env | sort', { cwd: '/tmp', env: { GREETING: 'hello' } });
  const names = result.stdout
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split('=')[0]);
  expect(result.stdout).toMatch(/^\/tmp\n/);
  expect(names).toEqual(expect.arrayContaining(['GREETING', 'HOME', 'LANG', 'PATH', 'TERM']));
  expect(
    names.filter((name) => !['GREETING', 'HOME', 'LANG', 'PATH', 'TERM', 'PWD', 'SHLVL', '_'].includes(name ?? '')),
  ).toEqual([]);
});

test('input arrives and stdin ends after it', async () => {
  expect((await run('wc -c', { input: 'x'.repeat(200_000) })).stdout.trim()).toBe('200000');
});

test('stdin is closed unless asked, so a command that reads it does not hang', async () => {
  expect(await run('cat; echo done')).toMatchObject({ outcome: 'exited', stdout: 'done\n' });
});

test('output above the limit keeps head and tail with exact counts', async () => {
  const result = await run('seq 1 300000', { maxOutputBytes: 1000 });
  expect(result.stdoutBytes).toBe(1_988_895);
  expect(result.truncated).toBe(true);
  expect(result.stdout).toMatch(/^1\n2\n3\n/);
  expect(result.stdout).toMatch(/299999\n300000\n$/);
  expect(result.stdout).toContain('[… 1987895 bytes left out …]');
});

test('a timeout keeps the output so far and kills the whole tree, setsid and traps included', async () => {
  const command = `echo before; (setsid bash -c 'trap "" TERM HUP INT; while :; do date +%s%N > beat; sleep 0.05; done' &) ; sleep 100`;
  const result = await run(command, { timeoutMs: 700 });
  expect(result).toMatchObject({ outcome: 'timedOut', exitCode: null, stdout: 'before\n', timedOutBy: 'total' });
  const first = await client.call('file.read', { path: 'beat' });
  await run('sleep 0.3');
  expect((await client.call('file.read', { path: 'beat' })).data).toBe(first.data);
});

test('an idle timeout ends a command that has gone quiet', async () => {
  const result = await run('for i in 1 2 3; do echo $i; sleep 0.2; done; sleep 100', { idleTimeoutMs: 600 });
  expect(result).toMatchObject({ outcome: 'timedOut', timedOutBy: 'idle', stdout: '1\n2\n3\n' });
});

test('a background process that holds the pipe does not delay the end', async () => {
  const result = await run('sleep 60 & echo started');
  expect(result).toMatchObject({ outcome: 'exited', exitCode: 0, stdout: 'started\n' });
  expect(result.durationMs).toBeLessThan(20_000);
});

test('commands of one slot run side by side and share /workspace and /tmp', async () => {
  const waiting = run('until test -e /tmp/flag; do sleep 0.02; done; cat /tmp/flag');
  await run('echo shared > /tmp/flag.new; mv /tmp/flag.new /tmp/flag');
  expect((await waiting).stdout).toBe('shared\n');
});

test('exec.start streams output with offsets, takes stdin, and tells its end once', async () => {
  const streamed: { stream: string; data: string; offset: number }[] = [];
  const exits: unknown[] = [];
  client.on('exec.output', (output) => streamed.push(output));
  const exited = new Promise<Record<string, unknown>>((resolve) =>
    client.on('exec.exit', (exit) => {
      exits.push(exit);
      resolve(exit as unknown as Record<string, unknown>);
    }),
  );
  const { process } = await client.call('exec.start', { command: 'cat; echo end >&2', stdin: 'open', stream: true });
  await client.call('exec.write', { process, data: 'häl' });
  await until('the first output', () => streamed.length > 0);
  await client.call('exec.write', { process, data: 'lo\n', eof: true });
  expect(await exited).toMatchObject({ process, outcome: 'exited', exitCode: 0, stdoutBytes: 7, stderrBytes: 4 });
  const text = (stream: string) =>
    streamed
      .filter((part) => part.stream === stream)
      .map((part) => part.data)
      .join('');
  expect(text('stdout')).toBe('hällo\n');
  expect(text('stderr')).toBe('end\n');
  expect(streamed[0]).toMatchObject({ offset: 0 });
  expect(exits).toHaveLength(1);
  const waited = await client.call('exec.wait', { process });
  expect(waited).toMatchObject({ outcome: 'exited', stdout: 'hällo\n' });
  await expect(client.call('exec.write', { process, data: 'late' })).rejects.toMatchObject({ fault: 'STDIN_CLOSED' });
});

test('exec.wait with a timeout tells the output so far and leaves the command alone', async () => {
  const { process } = await client.call('exec.start', { command: 'echo so far; sleep 100' });
  await until('output', async () => (await client.call('exec.wait', { process, timeoutMs: 0 })).stdoutBytes > 0);
  expect(await client.call('exec.wait', { process, timeoutMs: 50 })).toMatchObject({
    outcome: 'running',
    stdout: 'so far\n',
  });
  await client.call('exec.signal', { process, signal: 'TERM' });
  expect(await client.call('exec.wait', { process })).toMatchObject({ outcome: 'signaled', signal: 'TERM' });
});

test('a signal that the command handles is its own affair', async () => {
  const { process } = await client.call('exec.start', {
    command: 'trap "echo got; exit 7" USR1; echo ready; while :; do sleep 0.05; done',
  });
  await until('the trap', async () => (await client.call('exec.wait', { process, timeoutMs: 0 })).stdout === 'ready\n');
  await client.call('exec.signal', { process, signal: 'SIGUSR1' });
  expect(await client.call('exec.wait', { process })).toMatchObject({
    outcome: 'exited',
    exitCode: 7,
    stdout: 'ready\ngot\n',
  });
});

test('the same key runs a command once, other params with it are a conflict', async () => {
  const key = 'once';
  const [a, b] = await Promise.all([run('echo $RANDOM$RANDOM', { key }), run('echo $RANDOM$RANDOM', { key })]);
  expect(b).toEqual(a);
  await expect(run('echo other', { key })).rejects.toMatchObject({ fault: 'KEY_CONFLICT' });
});

test('a cancelled call ends with CANCELLED and its command is dead', async () => {
  const abort = new AbortController();
  const cancelled = client.call('exec.run', { command: 'echo $$ > pid; sleep 1000' }, { signal: abort.signal });
  await until('start', async () =>
    (await client.call('exec.list', {})).processes.some(
      (p) => p.command.startsWith('echo $$ > pid') && p.outcome === 'running',
    ),
  );
  abort.abort();
  await expect(cancelled).rejects.toMatchObject({ fault: 'CANCELLED' });
  await until('death', async () =>
    (await client.call('exec.list', {})).processes.every((p) => p.outcome !== 'running'),
  );
});

test('a script of a megabyte runs', async () => {
  const result = await run(`${'# filler\n'.repeat(120_000)}echo big`);
  expect(result.stdout).toBe('big\n');
});

test('binary output comes back exactly as base64', async () => {
  const result = await run("printf '\\xff\\x00\\xfe'", { encoding: 'base64' });
  expect(Buffer.from(result.stdout, 'base64')).toEqual(Buffer.from([0xff, 0x00, 0xfe]));
});

test('scripts may write to /dev/stderr and read /dev/stdin', async () => {
  const result = await run('cat /dev/stdin; echo e > /dev/stderr; echo o > /dev/stdout', { input: 'in\n' });
  expect(result).toMatchObject({ exitCode: 0, stdout: 'in\no\n', stderr: 'e\n' });
});

test('a command or path that does not exist is a result, like in a shell', async () => {
  expect(await client.call('exec.run', { argv: ['no-such-program'] })).toMatchObject({
    outcome: 'exited',
    exitCode: 127,
  });
});

test('what is no base64 is refused instead of being skipped', async () => {
  const call = client.call('exec.run', { command: 'cat', input: 'not base64 !!', inputEncoding: 'base64' });
  await expect(call).rejects.toMatchObject({ fault: 'INVALID_PARAMS' });
  const write = client.call('file.write', { path: 'x', data: 'not base64 !!', encoding: 'base64' });
  await expect(write).rejects.toMatchObject({ fault: 'INVALID_PARAMS' });
});

test('an unknown process is PROCESS_NOT_FOUND', async () => {
  await expect(client.call('exec.wait', { process: 'p9999' })).rejects.toMatchObject({ fault: 'PROCESS_NOT_FOUND' });
});

test('neither command nor argv, or both, is INVALID_PARAMS that names the field', async () => {
  await expect(client.call('exec.run', {})).rejects.toMatchObject({ fault: 'INVALID_PARAMS' });
  await expect(client.call('exec.run', { command: 'x', argv: ['x'] })).rejects.toThrow(/command/);
});

/** Whether the newest command has printed nothing more for a while. */
function standsStill(slot: Slot): () => Promise<boolean> {
  let printed = -1;
  let looks = 0;
  return async () => {
    const { stdoutBytes = 0 } = (await slot.exec.list()).at(-1) ?? {};
    looks = stdoutBytes === printed && stdoutBytes > 0 ? looks + 1 : 0;
    printed = stdoutBytes;
    return looks === 20;
  };
}

test('who reads the output of a command slowly gets all of it: the command waits, nothing is let go', async () => {
  const slot = await (await gateway.client()).acquire();
  const bytes = 100_000_000;
  const process = await slot.exec.start({ command: `head -c ${bytes} /dev/zero | tr '\\0' a`, timeoutMs: 0 });
  let read = 0;
  for await (const { data, offset } of process) {
    expect(offset).toBe(read);
    read += data.length;
    if (offset > 0) continue;
    // Calls are answered while its output is held back.
    await until('it stands still', standsStill(slot), 60_000);
    expect((await process.wait({ timeoutMs: 0 })).stdoutBytes).toBeLessThan(bytes / 2);
  }
  expect(read).toBe(bytes);
  expect(await process.exit).toMatchObject({ outcome: 'exited', exitCode: 0, stdoutBytes: bytes });
  await slot.release();
}, 120_000);

test('a command whose output is held back ends when it is killed, and when its time is over', async () => {
  const slot = await (await gateway.client()).acquire();
  const killed = await slot.exec.start({ command: 'yes', timeoutMs: 0 });
  for await (const { offset } of killed) {
    if (offset > 0) continue;
    await until('it stands still', standsStill(slot), 60_000);
    await killed.signal('KILL');
    expect(await killed.exit).toMatchObject({ outcome: 'signaled', signal: 'KILL' });
  }
  const late = await slot.exec.start({ command: 'yes', timeoutMs: 3000 });
  for await (const { offset } of late) if (offset === 0) expect((await late.exit).outcome).toBe('timedOut');
  await slot.release();
}, 120_000);

test('output that nobody reads holds nothing up', async () => {
  const print = "head -c 30000000 /dev/zero | tr '\\0' a";
  const slot = await (await gateway.client()).acquire();
  const process = await slot.exec.start({ command: `${print}; exit 3`, timeoutMs: 0 });
  expect(await process.exit).toMatchObject({ outcome: 'exited', exitCode: 3, stdoutBytes: 30_000_000 });
  // Nor does what somebody has stopped reading.
  const other = await slot.exec.start({ command: `${print}; exit 4`, timeoutMs: 0 });
  for await (const { offset } of other) if (offset === 0) break;
  expect(await other.exit).toMatchObject({ outcome: 'exited', exitCode: 4 });
  await slot.release();
}, 60_000);
