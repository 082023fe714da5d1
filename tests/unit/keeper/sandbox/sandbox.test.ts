// The real sandbox: what may work in it works, what may not does not.
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { statOf } from '../../../../server/keeper/foreground.ts';
import { startSandbox } from '../../../../server/keeper/sandbox/launch.ts';
import { DEFAULT_POLICY } from '../../../../server/keeper/sandbox/policy.ts';
import { type Home, makeHome, order, run } from '../place-fixture.ts';
import { until } from '../until.ts';

let home: Home;
beforeAll(async () => {
  home = await makeHome();
});
afterAll(() => home.remove());

test.each([
  [
    'git',
    'git init -q r && cd r && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x && git log --oneline | wc -l',
    '1',
  ],
  [
    'threads of Python',
    '/usr/bin/python3 -c "import threading as t; x=[t.Thread(target=lambda: None) for _ in range(8)]; [i.start() for i in x]; [i.join() for i in x]; print(len(x))"',
    '8',
  ],
  [
    'Node with a worker',
    `/usr/bin/node -e 'new (require("worker_threads").Worker)("console.log(7)", {eval: true})'`,
    '7',
  ],
  ['pipes, subshells and here-documents', 'cat <<< $(seq 1 3 | paste -sd+ | xargs -I{} expr 1 + 1)', '2'],
  ['a pty of its own', 'script -qec "test -t 0 && echo tty" /dev/null | tr -d "\\r"', 'tty'],
  [
    'an abstract and a path socket',
    '/usr/bin/python3 -c "import socket; a=socket.socket(socket.AF_UNIX); a.bind(\'s\'); print(1)"',
    '1',
  ],
])('%s work', async (_what, command, expected) => {
  const ran = await run(home.place, command);
  expect(ran).toMatchObject({ outcome: 'exited', exitCode: 0, stdout: `${expected}\n` });
});

const machine = process.arch === 'arm64' ? 1 : 0;
const syscall = (numbers: readonly [number, number], ...args: (number | string)[]): string =>
  `perl -e 'my $r = syscall(${[numbers[machine], ...args].join(', ')}); print $r < 0 ? $!+0 : "done"'`;

test.each([
  ['unshare of a user namespace', syscall([272, 97], 0x10000000), '1'],
  ['clone of a user namespace', syscall([56, 220], 0x10000011, 0, 0, 0, 0), '1'],
  ['clone3', syscall([435, 435], 0, 0), '38'],
  ['setns', syscall([308, 268], 0, 0), '1'],
  ['keyctl', syscall([250, 219], 0, -3, 0), '1'],
  ['ptrace', syscall([101, 117], 0x4206, 1, 0, 0), '1'],
  ['io_uring_setup', syscall([425, 425], 1, 0), '1'],
  ['open_tree', syscall([428, 428], -100, 0, 0), '38'],
  ['open_by_handle_at', syscall([304, 265], 0, 0, 0), '1'],
  ['bpf', syscall([321, 280], 0, 0, 0), '1'],
  ['syslog', syscall([103, 116], 3, 0, 0), '1'],
  ['a vsock', syscall([41, 198], 40, 1, 0), '97'],
  ['TIOCSTI', syscall([16, 29], 0, 0x5412, 0), '1'],
])('%s is refused', async (_what, command, errno) => {
  expect((await run(home.place, command)).stdout).toBe(errno);
});

test.runIf(process.arch === 'x64')('a call of the x32 range is refused', async () => {
  expect((await run(home.place, syscall([0x40000000 | 272, 0], 0x10000000))).stdout).toBe('38');
});

test.each([
  'unshare -Ur true',
  'mount -o remount,bind,rw /usr',
  'mknod /workspace/d b 254 0',
  ': >> /proc/sys/kernel/core_pattern',
  'cat /proc/1/environ',
  'cp /usr/bin/id suid; chmod 4755 suid; test "$(./suid -u)" != 1000',
])('%s fails', async (command) => {
  expect((await run(home.place, command)).exitCode).not.toBe(0);
});

test('a server on the loopback of the host is out of reach', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const ran = await run(home.place, `exec 3<>/dev/tcp/127.0.0.1/${port}`);
  server.close();
  expect(ran.stderr).toContain('Connection refused');
});

test('a mount is shown at its target, read-only if so asked', async () => {
  const mounts = [{ source: '/usr/share', target: '/shared', readOnly: true }];
  const ran = await run(home.place, 'ls -d /shared/perl*; touch /shared/x', { policy: { ...DEFAULT_POLICY, mounts } });
  expect(ran.stdout).toContain('/shared/perl');
  expect(ran.stderr).toContain('Read-only file system');
});

test('a sandbox that waits takes its order later, and is gone when destroyed', async () => {
  const spec = { policy: DEFAULT_POLICY, place: home.place, network: 'none' } as const;
  const warm = startSandbox(spec);
  await warm.ready;
  const said: string[] = [];
  warm.run(order('echo warm; exit 2'), { output: (stream, data) => said.push(`${stream} ${data}`), dead: () => {} });
  expect(await warm.closed).toEqual({ waitStatus: 2 << 8, exitCode: 0 });
  expect(said).toEqual(['stdout warm\n']);

  const unused = startSandbox(spec);
  await unused.ready;
  unused.destroy();
  expect((await unused.closed).waitStatus).toBeNull();
  const owner = home.place.identity?.uid;
  if (owner !== undefined) expect(usersOfProcesses()).not.toContain(owner);
});

test('a sandbox that is destroyed while bwrap starts it leaves no first process that waits for ever', async () => {
  const spec = { policy: DEFAULT_POLICY, place: home.place, network: 'none' } as const;
  for (let time = 0; time < 20; time++) {
    const others = new Set(childrenOf(process.pid));
    const sandbox = startSandbox(spec);
    const bwrap = childrenOf(process.pid).find((pid) => !others.has(pid)) ?? 0;
    // It gets its arguments; then in one turn, so that what it tells of its child is not read.
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    const endMs = performance.now() + 5000;
    while (childrenOf(bwrap).length === 0 && performance.now() < endMs);
    const [first = 0] = childrenOf(bwrap);
    expect(first).toBeGreaterThan(0);
    sandbox.destroy();
    expect(await sandbox.closed).toMatchObject({ waitStatus: null });
    await until(() => statOf(first)?.alive !== true, 'its first process is dead');
  }
});

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);

function usersOfProcesses(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return Number(/^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
      } catch {
        return -1;
      }
    });
}
