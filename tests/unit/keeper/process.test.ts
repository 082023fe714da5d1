// Commands in real sandboxes, from their start to their end.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Fault } from '../../../protocol/fault.ts';
import type { StreamName } from '../../../server/keeper/keeper.ts';
import { ending, startProcess } from '../../../server/keeper/process.ts';
import { startSandbox } from '../../../server/keeper/sandbox/launch.ts';
import { DEFAULT_POLICY } from '../../../server/keeper/sandbox/policy.ts';
import { begin, type Home, makeHome, order, run, text, until } from './place-fixture.ts';

let home: Home;
beforeAll(async () => {
  home = await makeHome();
});
afterAll(() => home.remove());

const exited = (exitCode: number) => ({ outcome: 'exited', exitCode, signal: null });
const signaled = (signal: string) => ({ outcome: 'signaled', exitCode: null, signal });

describe('how it ended', () => {
  test.each([
    ['true', exited(0)],
    ['exit 3', exited(3)],
    ['exit 137', exited(137)],
    ['kill -9 $$', signaled('KILL')],
    ['kill -TERM $$', signaled('TERM')],
    ['kill -9 1; exit 4', exited(4)],
    ['echo "bwrap: No permissions to create new namespace" >&2; exit 1', exited(1)],
  ])('%s', async (command, end) => {
    expect(await run(home.place, command)).toMatchObject(end);
  });

  test('kill -9 -1 ends what runs beside the shell, not the report of how it ended', async () => {
    const ran = await run(home.place, 'sleep 100 & kill -9 -1; wait; echo still here; exit 5');
    expect(ran).toMatchObject({ ...exited(5), stdout: 'still here\n' });
  });

  test('a command that is not there ends with 127 and says so', async () => {
    const ran = await run(home.place, ['no-such-command', 'x']);
    expect(ran).toMatchObject({ ...exited(127), stderr: 'slotcast: no-such-command: command not found\n' });
  });

  test('a file that is no program ends with 126', async () => {
    expect(await run(home.place, ['/etc/passwd'])).toMatchObject(exited(126));
  });

  test('a directory that is not there ends with 126 and says so', async () => {
    const ran = await run(home.place, 'true', { cwd: '/workspace/none' });
    expect(ran).toMatchObject({ ...exited(126), stderr: 'slotcast: /workspace/none: No such file or directory\n' });
  });

  test.each([
    [{ waitStatus: 0x0300, exitCode: 3 }, null, exited(3)],
    [{ waitStatus: 9, exitCode: 137 }, 'kill', signaled('KILL')],
    [{ waitStatus: 0x80 | 11, exitCode: 139 }, null, signaled('SEGV')],
    [{ waitStatus: 9, exitCode: 137 }, 'total', { outcome: 'timedOut', timedOutBy: 'total' }],
    [{ waitStatus: 0, exitCode: 0 }, 'total', exited(0)],
    [{ waitStatus: null, exitCode: 137 }, 'idle', { outcome: 'timedOut', timedOutBy: 'idle' }],
    [{ waitStatus: null, exitCode: 137 }, null, signaled('KILL')],
    [{ waitStatus: null, exitCode: null }, 'kill', signaled('KILL')],
    [{ waitStatus: null, exitCode: null }, null, { outcome: 'lost', exitCode: null, signal: null }],
  ] as const)('report %j, stopped by %s', (end, stoppedBy, expected) => {
    expect(ending(end, stoppedBy)).toMatchObject(expected);
  });
});

test('a command whose start is told late has not taken less time than it did', async () => {
  const sandbox = startSandbox({ policy: DEFAULT_POLICY, place: home.place, network: 'none' });
  await sandbox.ready;
  const starting = startProcess({ sandbox, order: order('sleep 0.3; : > late') });
  // Nothing is told while this loop has its turn.
  const deadline = performance.now() + 10_000;
  while (!existsSync(join(home.place.workspace, 'late')) && performance.now() < deadline);
  const { durationMs } = await (await starting).ended;
  expect(durationMs).toBeGreaterThanOrEqual(300);
  expect(durationMs).toBeLessThan(10_000);
});

describe('what it finds', () => {
  test('an environment of PATH, HOME, LANG, TERM and PWD, and what the order adds', async () => {
    const ran = await run(home.place, ['/usr/bin/env'], { env: { ADDED: 'a b\nc' } });
    expect(ran.stdout.replace('ADDED=a b\nc\n', 'ADDED\n').trim().split('\n').sort()).toEqual([
      'ADDED',
      'HOME=/workspace',
      'LANG=C.UTF-8',
      'PATH=/usr/local/bin:/usr/bin:/bin',
      'PWD=/workspace',
      'TERM=xterm-256color',
    ]);
  });

  test('no descriptor but stdin, stdout and stderr', async () => {
    // The fourth is the listing's own.
    expect((await run(home.place, ['ls', '/proc/self/fd'])).stdout).toBe('0\n1\n2\n3\n');
    expect((await run(home.place, 'ls /proc/self/fd; cat /proc/self/fd/4')).stderr).toContain('No such file');
  });

  test('no capability, no way to get one, and the filter in force', async () => {
    const { stdout } = await run(home.place, [
      'grep',
      '-E',
      '^(CapEff|CapBnd|NoNewPrivs|Seccomp):',
      '/proc/self/status',
    ]);
    expect(stdout).toBe('CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n');
  });

  test('a first process whose memory, environment and descriptors are shut', async () => {
    const ran = await run(home.place, 'for f in mem environ fd/3; do : < /proc/1/$f; done; ls /proc/1/fd');
    expect(ran.stderr.match(/Permission denied/g)).toHaveLength(4);
  });

  test('a user on the host that is not root', async () => {
    await run(home.place, ': > owned');
    const { uid } = await stat(join(home.place.workspace, 'owned'));
    expect(uid).toBe(home.place.identity?.uid ?? process.getuid?.());
    expect(uid).not.toBe(0);
  });

  test('only its own processes, a loopback of its own, no host files', async () => {
    const ran = await run(
      home.place,
      'ls -d /proc/[0-9]* | wc -l; tail -n +3 /proc/net/dev; ls /home /root /etc/shadow',
    );
    expect(Number(ran.stdout.split('\n')[0])).toBeLessThan(5);
    expect(ran.stdout.match(/^ *\w+:/gm)?.map((name) => name.trim())).toEqual(['lo:']);
    expect(ran.stderr.match(/No such file/g)).toHaveLength(3);
  });

  test('a system that it cannot write to', async () => {
    const ran = await run(
      home.place,
      'for f in /usr/x /etc/x /x /dev/x /run/x; do echo a > $f; done; echo a > /dev/null && echo ok',
    );
    expect(ran.stderr.match(/Read-only file system/g)).toHaveLength(5);
    expect(ran.stdout).toBe('ok\n');
  });

  test('a /tmp that the commands of a slot share', async () => {
    await run(home.place, 'echo shared > /tmp/note');
    expect((await run(home.place, 'cat /var/tmp/note')).stdout).toBe('shared\n');
  });
});

describe('input', () => {
  test('without input stdin is at its end', async () => {
    expect(await run(home.place, 'cat; cat < /dev/stdin; echo done')).toMatchObject({ ...exited(0), stdout: 'done\n' });
  });

  test('input arrives whole and ends, also by the name /dev/stdin', async () => {
    const input = Buffer.alloc(300_000, 'abc');
    expect((await run(home.place, 'cat /dev/stdin | wc -c', { input })).stdout.trim()).toBe('300000');
  });

  test('an open stdin takes writes until it is closed', async () => {
    const process = await begin(home.place, 'cat; echo end', { stdin: 'open', input: Buffer.from('one ') });
    expect(await process.write(Buffer.from('two '))).toBe(true);
    await until(() => text(process, 'stdout') === 'one two ');
    await process.closeInput();
    expect(await process.write(Buffer.from('late'))).toBe(false);
    expect(await process.ended).toMatchObject(exited(0));
    expect(text(process, 'stdout')).toBe('one two end\n');
  });

  test('a command that closes its stdin does not hang the writer', async () => {
    const process = await begin(home.place, 'exec < /dev/null; echo closed; sleep 100', { stdin: 'open' });
    await until(() => text(process, 'stdout') === 'closed\n');
    const big = Buffer.alloc(256 * 1024);
    let taken = true;
    await until(async () => {
      taken = await process.write(big);
      return !taken;
    });
    expect(taken).toBe(false);
    await process.kill();
  });

  test('a script of 1 MB runs like a short one', async () => {
    const script = `# ${'x'.repeat(1_000_000)}\necho "$0 $# $LINENO"; ls /proc/self/fd; exit 9`;
    expect(await run(home.place, script)).toMatchObject({ ...exited(9), stdout: 'bash 0 2\n0\n1\n2\n3\n' });
  });
});

describe('output', () => {
  test('stdout and stderr can be opened by name', async () => {
    const ran = await run(home.place, 'echo out > /dev/stdout; echo err > /dev/stderr');
    expect(ran).toMatchObject({ stdout: 'out\n', stderr: 'err\n' });
  });

  test('3 MB are counted exactly; both ends are kept', async () => {
    const ran = await run(home.place, 'seq 1 430000; seq 1 9 >&2', { maxOutputBytes: 100 });
    const whole = execFileSync('seq', ['1', '430000'], { maxBuffer: 1e7 });
    const { head, tail, total } = ran.process.output('stdout');
    expect(total).toBe(whole.length);
    expect(head.equals(whole.subarray(0, 50))).toBe(true);
    expect(tail.equals(whole.subarray(-50))).toBe(true);
    expect(ran.stderr).toBe('1\n2\n3\n4\n5\n6\n7\n8\n9\n');
  });

  test('a background child that holds stdout does not delay the end and dies with it', async () => {
    await run(home.place, 'rm -f beat');
    const ran = await run(
      home.place,
      '(while :; do date +%N >> beat; sleep 0.05; done) & until [ -s beat ]; do sleep 0.01; done; echo said',
    );
    expect(ran).toMatchObject({ ...exited(0), stdout: 'said\n' });
    expect(ran.durationMs).toBeLessThan(5000);
    await expectQuiet();
  });

  test('followers get every byte once and in order, early and late ones', async () => {
    const process = await begin(home.place, 'seq 1 20000; read line; seq 20001 40000', { stdin: 'open' });
    const early = collector();
    process.subscribe(early.sink, { stdout: 0, stderr: 0 });
    await until(() => process.output('stdout').total === 108_894);
    const late = collector();
    process.subscribe(late.sink, { stdout: 100, stderr: 0 });
    await process.write(Buffer.from('\n'));
    await process.ended;
    const whole = text(process, 'stdout');
    expect(whole.split('\n')).toHaveLength(40_001);
    expect(early.seen()).toBe(whole);
    expect(late.seen()).toBe(whole.slice(100));
    const after = collector();
    process.subscribe(after.sink, { stdout: 0, stderr: 0 });
    expect(after.seen()).toBe(whole);
  });

  test('a follower that never takes its chunk holds the command up, not the memory, and kill still works', async () => {
    const process = await begin(home.place, 'echo $$ > pid; exec yes');
    let chunks = 0;
    process.subscribe({ chunk: () => new Promise(() => chunks++) }, { stdout: 0, stderr: 0 });
    await until(() => chunks > 0);
    let last = -1;
    await until(() => {
      const { total } = process.output('stdout');
      const rests = total === last;
      last = total;
      return rests;
    });
    expect(chunks).toBe(1);
    expect(last).toBeLessThan(1024 * 1024);
    await process.kill();
    expect(process.end).toMatchObject(signaled('KILL'));
  });

  test('a follower that fails is left out; the command goes on', async () => {
    const process = await begin(home.place, 'echo a; read x; echo b', { stdin: 'open' });
    process.subscribe({ chunk: () => Promise.reject(new Error('gone')) }, { stdout: 0, stderr: 0 });
    await process.write(Buffer.from('\n'));
    expect(await process.ended).toMatchObject(exited(0));
    expect(text(process, 'stdout')).toBe('a\nb\n');
  });

  test('a flood that nobody reads is drained in bounded memory', async () => {
    const before = process.memoryUsage.rss();
    const ran = await run(home.place, 'yes | head -c 50000000', { maxOutputBytes: 1000 });
    expect(ran.process.output('stdout').total).toBe(50_000_000);
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 1024 * 1024);
  });
});

describe('stopping', () => {
  const daemon =
    'echo partial; (setsid sh -c \'trap "" TERM HUP INT; while :; do date +%N >> beat; sleep 0.05; done\' &); ';

  test('a timeout keeps the output and leaves nothing alive', async () => {
    const ran = await run(home.place, `${daemon} sleep 100`, { timeoutMs: 400 });
    expect(ran).toMatchObject({ outcome: 'timedOut', timedOutBy: 'total', exitCode: null, stdout: 'partial\n' });
    expect(ran.durationMs).toBeLessThan(10_000);
    await expectQuiet();
  });

  test('an idle timeout counts from the last output', async () => {
    const ran = await run(home.place, 'for i in 1 2 3 4 5; do echo $i; sleep 0.2; done; sleep 100', {
      idleTimeoutMs: 600,
    });
    expect(ran).toMatchObject({ outcome: 'timedOut', timedOutBy: 'idle', stdout: '1\n2\n3\n4\n5\n' });
  });

  test('kill takes the whole tree, again and again if asked', async () => {
    const process = await begin(home.place, `${daemon} sleep 100`);
    await until(() => text(process, 'stdout') === 'partial\n');
    await Promise.all([process.kill(), process.kill()]);
    expect(process.end).toMatchObject(signaled('KILL'));
    expect(await process.signal('KILL')).toBe(false);
    await process.kill();
    await expectQuiet();
  });

  test('a signal goes to the process group of the command', async () => {
    const process = await begin(home.place, 'trap "echo got; exit 6" USR1; echo up; while :; do sleep 0.05; done');
    await until(() => text(process, 'stdout') === 'up\n');
    expect(await process.signal('USR1')).toBe(true);
    expect(await process.ended).toMatchObject(exited(6));
    const sleeper = await begin(home.place, 'sleep 100; echo never');
    await sleeper.signal('INT');
    expect(await sleeper.ended).toMatchObject(signaled('INT'));
  });

  test('a stopped command can be killed', async () => {
    const process = await begin(home.place, 'kill -STOP $$; echo never');
    await process.kill();
    expect(process.end).toMatchObject(signaled('KILL'));
  });

  test('a fork bomb meets its limit and its end', async () => {
    const limits = { ...DEFAULT_POLICY.limits, processes: 40 };
    const ran = await run(home.place, 'for i in $(seq 1 60); do sleep 100 & done; wait', {
      policy: { ...DEFAULT_POLICY, limits },
      timeoutMs: 1500,
    });
    expect(ran.stderr).toContain('Resource temporarily unavailable');
    expect(await run(home.place, 'echo fine')).toMatchObject({ ...exited(0), stdout: 'fine\n' });
  });
});

/** The kernel says so: no process of the slot's user is left, and so the heartbeat stands still. */
async function expectQuiet(): Promise<void> {
  const beat = join(home.place.workspace, 'beat');
  const before = await readFile(beat, 'utf8');
  expect(before).not.toBe('');
  const owner = home.place.identity?.uid;
  if (owner !== undefined) expect(processesOf(owner)).toEqual([]);
  // Several beats long.
  await run(home.place, 'sleep 0.2');
  expect(await readFile(beat, 'utf8')).toBe(before);
}

function processesOf(uid: number): string[] {
  const pids = execFileSync('ls', ['/proc'], { encoding: 'utf8' })
    .split('\n')
    .filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      return status.includes(`Uid:\t${uid}\t`) && !/^State:\tZ/m.test(status);
    } catch {
      return false;
    }
  });
}

function collector() {
  const parts: Buffer[] = [];
  let next: number | null = null;
  const chunk = (stream: StreamName, data: Buffer, offset: number): void => {
    if (stream !== 'stdout') return;
    if (next !== null && offset !== next) throw new Error(`expected offset ${next}, got ${offset}`);
    next = offset + data.length;
    parts.push(data);
  };
  return { sink: { chunk }, seen: () => Buffer.concat(parts).toString('utf8') };
}

describe('when the sandbox cannot start, nothing runs', () => {
  test('without bwrap the fault names what to install', async () => {
    const fault = await failure(() => withPath('/nowhere', () => begin(home.place, ': > ran')));
    expect(fault.fault).toBe('SANDBOX_UNAVAILABLE');
    expect(fault.message).toContain('Install the package');
    await expect(stat(join(home.place.workspace, 'ran'))).rejects.toThrow('ENOENT');
  });

  test('a place that is not there is told without its host path', async () => {
    const place = { ...home.place, workspace: join(home.dataDir, 'gone') };
    const fault = await failure(() => begin(place, 'true'));
    expect(fault.fault).toBe('SANDBOX_UNAVAILABLE');
    expect(fault.message).toContain('/workspace');
    expect(fault.message).not.toContain(home.dataDir);
  });

  test.runIf(process.getuid?.() === 0)('as root without a user id for the slot', async () => {
    const fault = await failure(() => begin({ ...home.place, identity: null }, 'true'));
    expect(fault.message).toContain('never runs as root');
  });
});

async function failure(work: () => Promise<unknown>): Promise<Fault> {
  const error = await work().then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof Fault)) throw new Error(`expected a fault, got ${String(error)}`);
  return error;
}

/** The gateway's own PATH is what bwrap is looked up in. */
async function withPath<T>(path: string, work: () => Promise<T>): Promise<T> {
  const { PATH } = process.env;
  process.env['PATH'] = path;
  try {
    return await work();
  } finally {
    process.env['PATH'] = PATH;
  }
}

describe('--sandbox none', () => {
  const policy = { ...DEFAULT_POLICY, sandbox: 'none' as const };

  test('runs the same, in the workspace, as the same user', async () => {
    const ran = await run(home.place, 'pwd; id -u; exit 137', { policy });
    const uid = home.place.identity?.uid ?? process.getuid?.();
    expect(ran).toMatchObject({ ...exited(137), stdout: `${home.place.workspace}\n${uid}\n` });
  });

  test('a timeout finds grandchildren that left the session', async () => {
    const daemon = '(setsid sh -c \'trap "" TERM HUP; while :; do date +%N >> beat; sleep 0.05; done\' &) ';
    const ran = await run(home.place, `${daemon}; sleep 100`, { policy, timeoutMs: 400 });
    expect(ran).toMatchObject({ outcome: 'timedOut' });
    // Without namespaces nobody tells when one that was killed has let go of everything.
    const owner = home.place.identity?.uid;
    await until(() => owner === undefined || processesOf(owner).length === 0);
    await expectQuiet();
  });
});
