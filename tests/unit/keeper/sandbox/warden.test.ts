// The walls of a cell: as those of a sandbox of its own, and what stands around it is out of reach.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startProcess } from '../../../../server/keeper/process.ts';
import { type Cgroup, Cgroups, openCgroups } from '../../../../server/keeper/sandbox/cgroup.ts';
import { DEFAULT_POLICY, type Limits } from '../../../../server/keeper/sandbox/policy.ts';
import type { Sandbox } from '../../../../server/keeper/sandbox/sandbox.ts';
import { Warden } from '../../../../server/keeper/sandbox/warden.ts';
import { type Home, makeHome, order, text } from '../place-fixture.ts';
import { until } from '../until.ts';

const opened = await openCgroups(`warden.test ${process.pid}`);
let home: Home;
const wardens = new Set<Warden>();
const sandboxes = new Set<Sandbox>();
beforeAll(async () => {
  home = await makeHome();
});
afterEach(async () => {
  for (const sandbox of sandboxes) sandbox.destroy();
  sandboxes.clear();
  for (const warden of wardens) {
    await warden.retire();
    await warden.closed;
  }
  wardens.clear();
});
afterAll(async () => {
  await home.remove();
  if (opened instanceof Cgroups) await opened.close();
});

function makeWarden(more: { cells?: number; groups?: readonly Cgroup[]; limits?: Partial<Limits> } = {}): Warden {
  const { cells = 4, groups = [], limits = {} } = more;
  const policy = { ...DEFAULT_POLICY, limits: { ...DEFAULT_POLICY.limits, ...limits } };
  const warden = new Warden({ policy, place: home.place, network: 'none', groups, cells });
  wardens.add(warden);
  return warden;
}

async function run(warden: Warden, command: string) {
  const { sandbox } = warden.cell();
  const child = await startProcess({ sandbox, order: order(command) });
  const end = await child.ended;
  return { ...end, stdout: text(child, 'stdout'), stderr: text(child, 'stderr') };
}

async function begin(warden: Warden, command: string) {
  const { sandbox } = warden.cell();
  sandboxes.add(sandbox);
  const child = await startProcess({ sandbox, order: order(command) });
  return { child, sandbox };
}

/** All processes of the slot's user, with what they are called. */
function processes(): { readonly pid: number; readonly command: string; readonly namespaces: number }[] {
  const uid = `${home.place.identity?.uid ?? process.getuid?.()}`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const status = readFileSync(`/proc/${pid}/status`, 'utf8');
        if (/^Uid:\t(\d+)/m.exec(status)?.[1] !== uid) return [];
        const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1')
          .replace(/[\0 ]+$/, '')
          .replaceAll('\0', ' ');
        const namespaces = /^NSpid:\t(.*)$/m.exec(status)?.[1]?.split('\t').length ?? 0;
        return [{ pid: Number(pid), command, namespaces }];
      } catch {
        return [];
      }
    });
}

const ourWarden = (): number => processes().find(({ command }) => command === 'slotcast warden')?.pid ?? 0;
const machine = process.arch === 'arm64' ? 1 : 0;
const syscall = (numbers: readonly [number, number], ...args: (number | string)[]): string =>
  `perl -e 'my $r = syscall(${[numbers[machine], ...args].join(', ')}); print $r < 0 ? $!+0 : "done"'`;

describe('a cell', () => {
  test('has no capability, the filter, no new privileges, and the limits of a sandbox of its own', async () => {
    const ran = await run(
      makeWarden(),
      'grep -E "^(Cap|Seccomp|NoNewPrivs)" /proc/self/status; ulimit -u; ulimit -n; ulimit -c; id -u; umask',
    );
    expect(ran.stdout.match(/^Cap\w+:\t0{16}$/gm)).toHaveLength(5);
    expect(ran.stdout).toContain('NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n');
    const { processes: most, openFiles } = DEFAULT_POLICY.limits;
    expect(ran.stdout.split('\n').slice(-6)).toEqual([`${most}`, `${openFiles}`, '0', '1000', '0022', '']);
  });

  test('sees its own processes alone, and no descriptor of the warden or of another cell', async () => {
    const warden = makeWarden();
    const other = await begin(warden, 'exec sleep 1000');
    const ran = await run(
      warden,
      'cd /proc; echo [0-9]*; cat 1/comm; ls /proc/self/fd; ls -l 1/fd 1/root 1/cwd; cat 1/mem',
    );
    expect(ran.stdout).toMatch(/^1 2\nslotcast\n0\n1\n2\n3\n/);
    expect(ran.stderr.match(/Permission denied/g)?.length).toBeGreaterThanOrEqual(4);
    await other.child.kill();
  });

  test.each([
    ['unshare of a user namespace', syscall([272, 97], 0x10000000), '1'],
    ['unshare of mounts', syscall([272, 97], 0x20000), '1'],
    ['clone of a user namespace', syscall([56, 220], 0x10000011, 0, 0, 0, 0), '1'],
    ['setns', syscall([308, 268], 0, 0), '1'],
    ['ptrace of the first process', syscall([101, 117], 0x4206, 1, 0, 0), '1'],
    ['mount', syscall([165, 40], 0, 0, 0, 0, 0), '1'],
    ['umount', syscall([166, 39], 0, 0), '1'],
    ['process_vm_readv', syscall([310, 270], 1, 0, 0, 0, 0, 0), '1'],
    ['pidfd_open of what is outside', syscall([434, 434], 100_000, 0), '3'],
  ])('%s is refused', async (_what, command, errno) => {
    expect((await run(makeWarden({ cells: 1 }), command)).stdout).toBe(errno);
  });

  test('reaches no setting of the kernel, no user namespace, no key, and none of the mounts below its own', async () => {
    const ran = await run(
      makeWarden(),
      'for f in user/max_user_namespaces kernel/hostname; do (: >> /proc/sys/$f); done; cat /proc/keys; umount /proc; unshare -Ur true; ls /proc/2/ns >/dev/null; readlink /proc/1/ns/pid',
    );
    expect(ran.stderr.match(/Read-only file system|Permission denied/g)?.length).toBeGreaterThanOrEqual(3);
    expect(ran.stderr).toContain('unshare: unshare failed');
    expect(ran.stdout).toBe('');
  });

  test('shares no memory, queue, pty, loopback or abstract socket with another one', async () => {
    const warden = makeWarden();
    const made = `perl -MSocket -e 'shmget(77, 4096, 01666) // die; open F, ">/dev/shm/x"; open P, "+</dev/ptmx" or die; socket S, AF_UNIX, SOCK_STREAM, 0; bind S, pack("S a*", 1, "\\0cell") or die; listen S, 1; socket T, AF_INET, SOCK_STREAM, 0; bind T, pack_sockaddr_in(7777, INADDR_LOOPBACK) or die; listen T, 1; $| = 1; print "made"; sleep 1000'`;
    const other = await begin(warden, made);
    await until(() => text(other.child, 'stdout') === 'made', 'it is made');
    const look = `ls /dev/shm; ls /dev/pts; perl -MSocket -e 'print defined shmget(77, 0, 0) ? "found" : "none"; socket S, AF_UNIX, SOCK_STREAM, 0; print connect(S, pack("S a*", 1, "\\0cell")) ? "found" : "none"; socket T, AF_INET, SOCK_STREAM, 0; print connect(T, pack_sockaddr_in(7777, INADDR_LOOPBACK)) ? "found" : "none"'; wc -l < /proc/net/unix`;
    expect((await run(warden, look)).stdout).toBe('ptmx\nnonenonenone1\n');
    await other.child.kill();
  });

  test('can hit nobody but itself: neither the warden nor another cell, whatever it signals', async () => {
    const warden = makeWarden();
    const other = await begin(warden, 'exec sleep 1001');
    const outside = ourWarden();
    const kill = `$| = 1; print kill(9, ${outside}) + kill(9, -${outside}) + kill(0, getppid - 1), "\\n"; kill $_, 1 for 1 .. 31; kill 9, -1; kill 9, 0`;
    // It hits itself, and the shell that it was started by.
    expect(await run(warden, `perl -e '${kill}'; exit 3`)).toMatchObject({ stdout: '1\n', signal: 'KILL' });
    expect(other.child.end).toBeNull();
    expect(warden.alive).toBe(true);
    await other.child.kill();
  });

  test('ends with all that it has started, before its end is told', async () => {
    const warden = makeWarden();
    const ran = await run(
      warden,
      '(setsid sleep 1002 &) ; setsid setsid sleep 1002 & trap "" TERM; sleep 0.05; exit 4',
    );
    expect(ran).toMatchObject({ exitCode: 4 });
    expect(processes().filter(({ command }) => command.startsWith('sleep'))).toEqual([]);
    expect(processes().filter(({ namespaces }) => namespaces > 2)).toEqual([]);
  });
});

test('a cell is ended at once, also one that is stopped, and the others go on', async () => {
  const warden = makeWarden();
  const other = await begin(warden, 'exec sleep 1003');
  const { child, sandbox } = await begin(warden, 'exec sleep 1004');
  for (const { pid, command } of processes()) if (command === 'sleep 1004') process.kill(pid, 'SIGSTOP');
  sandbox.destroy();
  expect(await child.ended).toMatchObject({ outcome: 'signaled', signal: 'KILL' });
  expect(other.child.end).toBeNull();
  await other.child.kill();
  expect(other.child.end).toMatchObject({ outcome: 'signaled', signal: 'KILL' });
});

test('a warden that somebody stopped is no reason for a command to go on', async () => {
  const warden = makeWarden();
  const { child } = await begin(warden, 'exec sleep 1005');
  for (const { pid } of processes()) process.kill(pid, 'SIGSTOP');
  await child.kill();
  expect(child.end).toMatchObject({ outcome: 'signaled' });
  await until(() => !processes().some(({ command }) => command === 'sleep 1005'), 'it is dead');
});

test('with its warden all its cells end, and none of them is told as one that exited', async () => {
  const warden = makeWarden();
  const begun = await Promise.all(['1006', '1007'].map((seconds) => begin(warden, `sleep ${seconds}; exit 0`)));
  process.kill(ourWarden(), 'SIGKILL');
  for (const { child } of begun) {
    const { outcome, exitCode } = await child.ended;
    expect(['signaled', 'lost']).toContain(outcome);
    expect(exitCode).toBeNull();
  }
  await warden.closed;
  expect(processes()).toEqual([]);
  expect(warden.left).toBe(0);
});

test('a warden that retires ends with its last command', async () => {
  const warden = makeWarden();
  const { child } = await begin(warden, 'read line; exit 6');
  await warden.retire();
  expect(child.end).toBeNull();
  expect(warden.left).toBe(0);
  await child.kill();
  await warden.closed;
  expect(processes()).toEqual([]);
});

test('what does not come up tells why, and nothing ran', async () => {
  // So few descriptors that bwrap can open none.
  const warden = makeWarden({ limits: { openFiles: 8 } });
  await expect(warden.ready).rejects.toThrow();
  await warden.closed;
});

describe.skipIf(!(opened instanceof Cgroups))(
  `in groups (${opened instanceof Error ? opened.message : 'there'})`,
  () => {
    const groups = opened as Cgroups;
    const some = async (count: number, limits: Partial<Limits> = {}): Promise<Cgroup[]> => {
      const all = { ...DEFAULT_POLICY.limits, ...limits };
      return await Promise.all(Array.from({ length: count }, () => groups.group('cells', all)));
    };

    test('a cell is in its own before it has an order, and its warden in another one of the slot', async () => {
      const made = await some(3);
      const warden = makeWarden({ cells: 2, groups: made });
      const { sandbox, group } = warden.cell();
      await sandbox.ready;
      const [file = ''] = group?.joins ?? [];
      const cell = () => processes().filter(({ namespaces }) => namespaces > 2);
      await until(() => cell().length === 2, 'what becomes the payload is there');
      expect(group).toBe(made[1]);
      const inGroup = readFileSync(file, 'utf8').trim().split('\n').map(Number);
      expect(inGroup.toSorted()).toEqual(
        cell()
          .map(({ pid }) => pid)
          .toSorted(),
      );
      expect(readFileSync(made[0]?.joins[0] ?? '', 'utf8')).toBe(`${ourWarden()}\n`);
      expect(readFileSync(made[2]?.joins[0] ?? '', 'utf8')).toBe('');
      sandbox.destroy();
      await sandbox.closed;
      await warden.retire();
      for (const one of made) await one.close();
      expect(existsSync(dirname(file))).toBe(false);
    });

    test('a limit that struck in one command is not told of the next one in the same group', async () => {
      const made = await some(3, { processes: 20 });
      const [, first] = made as [Cgroup, Cgroup, Cgroup];
      const fork = `perl -e 'for (1..100) { my $p = fork; if (!defined $p) { print "denied"; last } if (!$p) { sleep 60; exit } }'`;
      const warden = makeWarden({ cells: 2, groups: made, limits: { processes: 20 } });
      expect(await run(warden, fork)).toMatchObject({ limit: 'processes', stdout: 'denied' });
      first.lend(() => {});
      await first.close();
      expect(first.strikes()).toEqual({ memory: 0, processes: 0 });
      await warden.retire();
      for (const one of made) await one.close();
    });
  },
);
