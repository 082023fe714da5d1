// Out of the sandbox by the kernel: what the filter denies, tried for real, by a command and in the slot's terminal.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { until } from '../support/gateway.ts';
import { attack } from './attack.ts';
import type { User } from './catalogue.ts';
import { targets } from './gateway.ts';
import { errnoName, insides, perl, sandboxed } from './inside.ts';
import { type CallName, call, callNumber, I386_PROGRAM } from './machine.ts';

const of = targets();
const inside = insides(of);

type Try = readonly [name: CallName, ...args: (number | string)[]];

/** Pointers for calls that want one. */
const POINTERS =
  'my $b = "\\0" x 256; my $d = "/tmp"; my $n = "none"; my $now = pack "qq", time, 0; my $one = pack "i", 1;';

/** The errno of each call, by a command and in the terminal. */
async function refused(as: User, tries: readonly Try[], errno: string): Promise<void> {
  const it = await inside(as);
  const code = tries.map((each) => `{ ${POINTERS} ${call(...each)} print " ${each[0]}\\n" }`).join(' ');
  const wanted = tries.map(([name]) => `${errno} ${name}`);
  for (const said of await it.both(perl(code))) {
    const lines = said
      .trim()
      .split('\n')
      .map((line) => line.split(' '));
    expect(lines.map(([number = '', name]) => `${errnoName(number)} ${name}`)).toEqual(wanted);
  }
}

const CLONE_NEWUSER = 0x10000000;
const CLONE_NEWNS = 0x20000;
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;

describe('namespaces and mounts', () => {
  attack('A17', async (as) => {
    const it = await inside(as);
    for (const said of await it.both('unshare -Ur true')) expect(said).toContain('Operation not permitted');
    await refused(
      as,
      [
        ['unshare', CLONE_NEWUSER],
        ['unshare', CLONE_NEWNS],
        ['clone', CLONE_NEWUSER | 17, 0, 0, 0, 0],
        ['clone', '(0xdeadbeef << 32) | 0x10000011', 0, 0, 0, 0],
        ['setns', 0, 0],
        ['mount', '$n', '$d', '$n', 0, 0],
        ['umount2', '$d', 2],
        ['pivot_root', '$d', '$d'],
        ['chroot', '$d'],
      ],
      'EPERM',
    );
  });

  attack('A18', async (as) => {
    await refused(as, [['clone3', '$b', 88]], 'ENOSYS');
    // Whatever needs a thread or a child falls back to clone.
    expect(await (await inside(as)).exec('echo $(echo a & wait)')).toBe('a\n');
  });

  attack('A26', async (as) => {
    await refused(
      as,
      [
        ['open_tree', -100, '$d', 1],
        ['move_mount', -100, '$d', -100, '$d', 0],
        ['fsopen', '$n', 0],
        ['fsconfig', 0, 0, 0, 0, 0],
        ['fsmount', 0, 0, 0],
        ['fspick', -100, '$d', 0],
        ['mount_setattr', -100, '$d', 0, '$b', 32],
        ['open_tree_attr', -100, '$d', 0, '$b', 32],
      ],
      'ENOSYS',
    );
  });
});

describe('what the filter denies', () => {
  attack('A19', async (as, context) => {
    if (process.arch !== 'x64') return context.skip();
    const it = await inside(as);
    const x32 = (name: CallName, ...args: readonly number[]) =>
      `{ my $r = syscall(${[callNumber(name) | 0x40000000, ...args].join(', ')}); print $r < 0 ? $!+0 : "done", "\n" }`;
    const code = x32('getpid') + x32('unshare', CLONE_NEWUSER) + x32('ptrace', 0);
    for (const said of await it.both(perl(code)))
      expect(said.trim().split('\n').map(errnoName)).toEqual(Array(3).fill('ENOSYS'));
    await it.slot.file.write({ path: 'i386', data: I386_PROGRAM.toString('base64'), encoding: 'base64', mode: 0o755 });
    const onHost = hostRuns(I386_PROGRAM);
    const { outcome, signal } = await it.slot.exec.run({ argv: ['./i386'] });
    expect(outcome).toBe('signaled');
    // A host without i386 has nothing to deny.
    if (onHost === 0) expect(signal).toBe('SYS');
    // PER_LINUX32 changes nothing about it.
    const linux32 = perl(`${call('personality', 8)} exec "./i386"`);
    const { exitCode } = await it.slot.exec.run({ command: `${linux32}; exit $?` });
    if (onHost === 0) expect(exitCode).toBe(128 + 31);
    const { output, exitCode: inTerminal } = await it.slot.terminal.run({ command: './i386' });
    if (onHost === 0) expect([inTerminal, output]).toEqual([128 + 31, expect.stringContaining('Bad system call')]);
    else expect(inTerminal).toBeGreaterThan(128);
  });

  attack('A23', async (as) => {
    await refused(
      as,
      [
        ['add_key', '$n', '$n', '$b', 1, -3],
        ['request_key', '$n', '$n', '$b', -3],
        ['keyctl', 0, -3, 0],
      ],
      'EPERM',
    );
  });

  attack('A24', async (as) => {
    await refused(
      as,
      [
        ['io_uring_setup', 1, '$b'],
        ['io_uring_enter', 0, 0, 0, 0, 0],
        ['io_uring_register', 0, 0, 0, 0],
      ],
      'EPERM',
    );
  });

  attack('A27', async (as) => refused(as, [['open_by_handle_at', -100, '$b', 0]], 'EPERM'));

  attack('A33', async (as) => {
    const it = await inside(as);
    // AF_VSOCK, AF_PACKET, AF_ALG, AF_KEY, AF_BLUETOOTH; and one that is allowed.
    const code = 'print join " ", map { socket(my $s, $_, 1, 0) ? "done" : $!+0 } 40, 17, 38, 15, 31, 1';
    for (const said of await it.both(perl(code))) {
      expect(said.trim().split(' ').map(errnoName)).toEqual([...Array(5).fill('EAFNOSUPPORT'), 'done']);
    }
  });

  attack('A42', async (as) => {
    const it = await inside(as);
    for (const said of await it.both('dmesg')) expect(said).toContain('Operation not permitted');
    await refused(as, [['syslog', 3, '$b', 256]], 'EPERM');
    // Addresses of the kernel are zeros, or the file can't be read.
    for (const said of await it.both('cut -d" " -f1 /proc/kallsyms 2>/dev/null | sort -u')) {
      expect(said.trim()).toMatch(/^0*$/);
    }
  });

  attack('A53', async (as) => {
    await refused(
      as,
      [
        ['init_module', '$b', 0, '$n'],
        ['finit_module', 0, '$n', 0],
        ['delete_module', '$n', 0],
        ['kexec_load', 0, 0, 0, 0],
        ['bpf', 0, '$b', 64],
        ['perf_event_open', '$b', 0, -1, -1, 0],
        ['userfaultfd', 1],
        ['kcmp', 1, 1, 0, 0, 0],
        ['pidfd_getfd', 0, 0, 0],
        ['process_vm_writev', 1, 0, 0, 0, 0, 0],
        ['swapon', '$n', 0],
        ['swapoff', '$n'],
        ['acct', 0],
        ['quotactl', 0, 0, 0, 0],
        ['sethostname', '$n', 4],
        ['setdomainname', '$n', 4],
        ['vhangup'],
      ],
      'EPERM',
    );
    // Wrong magic numbers: where it is allowed it is EINVAL, and nothing happens.
    await refused(as, [['reboot', 0, 0, 0]], 'EPERM');
  });

  attack('A59', async (as) => {
    const it = await inside(as);
    await refused(
      as,
      [
        // The time it is, so that nothing changes where it is allowed.
        ['clock_settime', 0, '$now'],
        // SCHED_FIFO; CLOCK_REALTIME_ALARM.
        ['sched_setscheduler', 0, 1, '$one'],
        ['timerfd_create', 8, 0],
      ],
      'EPERM',
    );
    for (const said of await it.both('renice -n -5 $$; echo -1000 > /proc/self/oom_score_adj')) {
      expect(said).toMatch(/renice.*Permission denied/);
      expect(said).toMatch(/Permission denied\n$/);
    }
  });
});

describe('around the filter', () => {
  attack('A54', async (as) => {
    const it = await inside(as);
    // One instruction: allow all. SECCOMP_SET_MODE_FILTER, with and without NEW_LISTENER; then one that hands every unshare to the supervisor.
    const lenient = `{ my $p = pack("SCCL", 6, 0, 0, 0x7fff0000); my $f = pack("S x6 P", 1, $p); my $r = syscall(${callNumber('seccomp')}, 1, 0, $f); print $r < 0 ? $!+0 : "loaded", "\n" }`;
    const supervised =
      `{ my $p = pack("SCCL SCCL SCCL SCCL", 0x20, 0, 0, 0, 0x15, 0, 1, ${callNumber('unshare')}, 6, 0, 0, 0x7fc00000, 6, 0, 0, 0x7fff0000);` +
      ` my $f = pack("S x6 P", 4, $p); my $r = syscall(${callNumber('seccomp')}, 1, 8, $f); print $r < 0 ? $!+0 : "loaded", "\n" }`;
    const code = `${lenient} ${supervised} ${call('unshare', CLONE_NEWUSER)}`;
    for (const said of await it.both(perl(code))) {
      const [first, second, last = ''] = said.trim().split('\n');
      expect([first, second, errnoName(last)]).toEqual(['loaded', 'loaded', 'EPERM']);
    }
  });

  attack('A55', async (as) => {
    const it = await inside(as);
    const code = `my $n = "x"; my $fd = syscall(${callNumber('memfd_create')}, $n, 0); open my $to, ">&=", $fd; open my $from, "<", "/usr/bin/unshare"; local $/; print {$to} <$from>; $to->flush; exec {"/proc/self/fd/$fd"} "unshare", @ARGV or print "exec: $!\n"`;
    for (const said of await it.both(`perl -MIO::Handle -e '${code}' -- --version`)) expect(said).toMatch(/util-linux/);
    for (const said of await it.both(`perl -MIO::Handle -e '${code}' -- -Ur true`)) {
      expect(said).toContain('Operation not permitted');
    }
  });
});

describe('terminals', () => {
  attack('A20', async (as) => {
    const it = await inside(as);
    // The slot's own terminal, and a new one of the command's own; the kernel looks at the low half of the request alone.
    const tries = [TIOCSTI, `(1 << 32) | ${TIOCSTI}`];
    const ioctl = (fd: string) =>
      tries.map((request) => `{ my $c = "x"; ${call('ioctl', fd, request, '$c')} print "\n" }`).join(' ');
    const own = `open my $t, "+<", "/dev/tty" or die $!; ${ioctl('fileno $t')}`;
    const fresh = `open my $m, "+<", "/dev/ptmx" or die $!; my $u = pack "i", 0; ioctl $m, 0x40045431, $u; my $n = pack "i", 0; ioctl $m, 0x80045430, $n; my $p = "/dev/pts/" . unpack "i", $n; open my $t, "+<", $p or die "$p $!"; ${ioctl('fileno $t')}`;
    for (const said of [await it.terminal(perl(own)), ...(await it.both(perl(fresh)))]) {
      expect(said.trim().split('\n').map(errnoName)).toEqual(['EPERM', 'EPERM']);
    }
    expect(await it.exec(': </dev/tty')).toContain('/dev/tty: No such device or address');
    // Nothing stands on the command line.
    expect(await it.terminal('echo clean')).toBe('clean\n');
  });

  attack('A22', async (as) => {
    const it = await inside(as);
    const code = `open my $t, "+<", "/dev/tty"; my $c = "\\3"; ${call('ioctl', 'fileno($t) // 0', TIOCLINUX, '$c')}`;
    expect((await it.both(perl(code))).map(errnoName)).toEqual(['EPERM', 'EPERM']);
  });

  attack('A51', async (as) => {
    const it = await inside(as);
    await it.slot.terminal.start();
    // The command's own instance of devpts, without the terminal's; in the terminal its own is the only one, from outside.
    const [ofCommand, ofTerminal] = await it.both('ls /dev/pts; ls /dev | grep -E "^(tty.|vcs|console)"');
    expect(ofCommand).toBe('ptmx\n');
    expect(ofTerminal).toMatch(/^ptmx\n(?:console\n)?$/);
    // TIOCCONS takes the output of the console, TIOCSETD loads a line discipline (here the one that is there), TIOCSCTTY steals a terminal.
    const requests = ['0x541D', '0x5423', '0x540E'];
    const code = `open my $t, "+<", "/dev/tty" or die $!; ${requests.map((request) => `{ my $b = pack "i", 0; ${call('ioctl', 'fileno $t', request, request === '0x540E' ? 1 : '$b')} print "\n" }`).join(' ')}`;
    expect((await it.terminal(perl(code))).trim().split('\n').map(errnoName)).toEqual(['EPERM', 'EPERM', 'EPERM']);
  });
});

describe('pid 1', () => {
  attack('A16', async (as) => {
    await refused(
      as,
      [
        ['ptrace', 0x4206, 1, 0, 0],
        ['process_vm_readv', 1, 0, 0, 0, 0, 0],
        ['process_vm_writev', 1, 0, 0, 0, 0, 0],
      ],
      'EPERM',
    );
    const it = await inside(as);
    const open = (file: string) => `print open(my $f, "+<", "${file}") ? "done" : $!+0, "\n";`;
    for (const said of await it.both(perl(open('/proc/self/mem') + open('/proc/1/mem')))) {
      expect(said.trim().split('\n').map(errnoName)).toEqual(['done', 'EACCES']);
    }
    const running = await it.slot.exec.start({ command: 'sleep 1000 & wait' });
    const sleeps = () => sandboxed(it.target.pid).some(({ status }) => status['Name'] === 'sleep');
    await until('a sleep', sleeps);
    const found = sandboxed(it.target.pid);
    // Of the command, of the terminal, and of those that stand ready for the next commands.
    const firsts = found.filter(({ pids, status }) => pids.at(-1) === 1 && status['Name'] === 'slotcast');
    expect(firsts.length).toBeGreaterThanOrEqual(2);
    for (const { pid, status } of firsts) {
      expect(status).toMatchObject({
        CapEff: '0000000000000000',
        CapBnd: '0000000000000000',
        Seccomp: '2',
        NoNewPrivs: '1',
      });
      if (process.getuid?.() === 0)
        nothingToTake(pid, found.find(({ status: child }) => child['PPid'] === String(pid))?.pid ?? null);
    }
    await running.signal('KILL');
  });

  attack('A47', async (as) => {
    const it = await inside(as);
    for (const said of await it.both(
      'ls /proc/1/root/ /proc/1/cwd/ /proc/1/fd/ /proc/1/map_files/; readlink /proc/1/exe /proc/1/ns/user; cat /proc/1/maps /proc/1/stack',
    )) {
      expect(said.match(/Permission denied/g)?.length).toBeGreaterThanOrEqual(5);
      expect(said).not.toMatch(/^\/|^user:/m);
    }
    for (const said of await it.both(
      'ls -d /proc/self/root/home /proc/$PPID/root/home /proc/self/root/../home /proc/self/cwd/../../home',
    )) {
      expect(said).not.toMatch(/^\//m);
    }
  });
});

/** Nothing that a payload doesn't have: no other namespace, environment or descriptor of the host. */
/** `child`: of one that has a command. */
function nothingToTake(first: number, child: number | null): void {
  for (const name of child === null ? [] : readdirSync(`/proc/${first}/ns`)) {
    if (name.endsWith('for_children')) continue;
    expect(readlinkSync(`/proc/${first}/ns/${name}`)).toBe(readlinkSync(`/proc/${child}/ns/${name}`));
  }
  if (child !== null) expect(readlinkSync(`/proc/${first}/root`)).toBe(readlinkSync(`/proc/${child}/root`));
  const files = readdirSync(`/proc/${first}/fd`).map((fd) => readlinkSync(`/proc/${first}/fd/${fd}`));
  for (const file of files) expect(file).toMatch(/^(?:socket|pipe|anon_inode):|^\/dev\/(?:null|pts\/\d+)$/);
  expect(readFileSync(`/proc/${first}/environ`, 'utf8')).not.toMatch(/CANARY|TOKEN|SLOTCAST/);
}

/** Exit code of the program outside; null when a signal ended it. */
function hostRuns(program: Buffer): number | null {
  const directory = mkdtempSync(join(tmpdir(), 'slotcast-program-'));
  try {
    const file = join(directory, 'program');
    writeFileSync(file, program);
    chmodSync(file, 0o755);
    return spawnSync(file).status;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
