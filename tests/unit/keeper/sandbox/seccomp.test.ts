import { describe, expect, test } from 'vitest';
import { ABSENT, ACTION, ERRNO, seccompFilter, TABLES } from '../../../../server/keeper/sandbox/seccomp.ts';
import { NUMBERS } from '../../../attacks/machine.ts';

interface Call {
  readonly arch: number;
  readonly nr: number;
  /** Full 64 bits each. */
  readonly args?: readonly bigint[];
}

/** Runs the program as the kernel would, for the instructions that it uses. */
function verdict(program: Buffer, { arch, nr, args = [] }: Call): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(nr >>> 0, 0);
  data.writeUInt32LE(arch >>> 0, 4);
  for (const [index, arg] of args.entries()) data.writeBigUInt64LE(BigInt.asUintN(64, arg), 16 + 8 * index);
  let accumulator = 0;
  for (let at = 0; at < program.length / 8; at++) {
    const code = program.readUInt16LE(at * 8);
    const k = program.readUInt32LE(at * 8 + 4);
    const jump = (yes: boolean) => program.readUInt8(at * 8 + (yes ? 2 : 3));
    if (code === 0x20) accumulator = data.readUInt32LE(k);
    else if (code === 0x15) at += jump(accumulator === k);
    else if (code === 0x35) at += jump(accumulator >= k);
    else if (code === 0x45) at += jump((accumulator & k) !== 0);
    else if (code === 0x06) return k;
    else throw new Error(`instruction ${code.toString(16)}`);
  }
  throw new Error('ran off the end');
}

/** Of the calls that the attacks make: those that are the kernel's own business, or harmless. */
const ALLOWED: readonly string[] = [
  ...['clock_settime', 'sched_setscheduler', 'sethostname', 'setdomainname', 'setxattr', 'timerfd_create', 'vhangup'],
  ...['fanotify_init', 'getpid', 'inotify_init1', 'ioctl', 'memfd_create', 'mq_open', 'personality', 'pidfd_open'],
  ...['prctl', 'prlimit64', 'process_madvise', 'seccomp'],
];

const eperm = ACTION.errno | ERRNO.EPERM;
const enosys = ACTION.errno | ERRNO.ENOSYS;
const eafnosupport = ACTION.errno | ERRNO.EAFNOSUPPORT;
const HIGH = 0xdeadbeef00000000n;

describe.each(['x64', 'arm64'] as const)('on %s', (machine) => {
  const table = TABLES[machine];
  const program = seccompFilter(machine);
  const asked = (nr: number, ...args: bigint[]) => verdict(program, { arch: table.auditArch, nr, args });

  test('a call of another machine kills the process', () => {
    expect(verdict(program, { arch: 0x40000003, nr: 1 })).toBe(ACTION.killProcess);
  });

  test.each(Object.entries(table.denied))('%s is EPERM', (_name, nr) => {
    expect(asked(nr)).toBe(eperm);
  });

  test.each(Object.entries(NUMBERS))('%s has the number by which the attacks call it', (name, numbers) => {
    const verdictOf = asked(numbers[machine === 'x64' ? 0 : 1], 0x10000011n);
    if (name === 'clone') expect(verdictOf).toBe(eperm);
    else if (name in ABSENT) expect(verdictOf).toBe(enosys);
    else expect(verdictOf).toBe(ALLOWED.includes(name) ? ACTION.allow : eperm);
  });

  test.each(Object.entries(ABSENT))('%s is ENOSYS', (_name, nr) => {
    expect(asked(nr)).toBe(enosys);
  });

  test('every other number of the table is allowed', () => {
    const special = new Set([
      ...Object.values(table.denied),
      ...Object.values(ABSENT),
      table.clone,
      table.ioctl,
      table.socket,
      table.socketpair,
    ]);
    for (let nr = 0; nr < 480; nr++) if (!special.has(nr)) expect(asked(nr), `call ${nr}`).toBe(ACTION.allow);
  });

  test.each([
    ['a fork', 0x01200011n, ACTION.allow],
    ['a thread', 0x003d0f00n, ACTION.allow],
    ['a user namespace', 0x10000011n, eperm],
    ['a mount namespace', 0x00020011n, eperm],
    ['a cgroup namespace', 0x02000000n, eperm],
    ['a uts namespace', 0x04000000n, eperm],
    ['an ipc namespace', 0x08000000n, eperm],
    ['a pid namespace', 0x20000000n, eperm],
    ['a network namespace behind high bits', HIGH | 0x40000000n, eperm],
  ])('clone of %s', (_what, flags, expected) => {
    expect(asked(table.clone, flags)).toBe(expected);
  });

  test.each([
    ['TCGETS', 0x5401n, ACTION.allow],
    ['TIOCSTI', 0x5412n, eperm],
    ['TIOCSTI with high bits, which the kernel ignores', HIGH | 0x5412n, eperm],
    ['TIOCLINUX', 0x541cn, eperm],
    ['TIOCSETD', 0x5423n, eperm],
    ['TIOCGETD', 0x5424n, ACTION.allow],
  ])('ioctl %s', (_what, request, expected) => {
    expect(asked(table.ioctl, 0n, request)).toBe(expected);
  });

  test.each([
    ['AF_UNIX', 1n, ACTION.allow],
    ['AF_INET', 2n, ACTION.allow],
    ['AF_INET6', 10n, ACTION.allow],
    ['AF_NETLINK', 16n, ACTION.allow],
    ['AF_PACKET', 17n, eafnosupport],
    ['AF_ALG', 38n, eafnosupport],
    ['AF_VSOCK', 40n, eafnosupport],
  ])('socket and socketpair of %s', (_what, family, expected) => {
    expect(asked(table.socket, family)).toBe(expected);
    expect(asked(table.socketpair, family)).toBe(expected);
  });
});

test('the x32 range, and -1, are ENOSYS on x64', () => {
  const program = seccompFilter('x64');
  const asked = (nr: number) => verdict(program, { arch: TABLES.x64.auditArch, nr });
  expect([asked(0x40000000), asked(0x40000000 | 272), asked(-1)]).toEqual([enosys, enosys, enosys]);
});

test('a machine without a table gets no filter', () => {
  expect(() => seccompFilter('riscv64')).toThrow('no seccomp filter for riscv64');
});
