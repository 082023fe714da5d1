// The system calls that a payload may not make, as a classic BPF program for bwrap --seccomp. Pure: bytes from tables.
// A filter sees numbers only, never what a pointer points to: paths and socket addresses are not its business.

/** One machine's numbers. */
export interface SyscallTable {
  /** AUDIT_ARCH_* of the kernel's audit.h. */
  readonly auditArch: number;
  /** From here on are the numbers of a second ABI on the same machine (x32); null when there is none. */
  readonly foreignFrom: number | null;
  readonly clone: number;
  readonly ioctl: number;
  readonly socket: number;
  readonly socketpair: number;
  /** Answered with EPERM. */
  readonly denied: Readonly<Record<string, number>>;
}

export const ERRNO = { EPERM: 1, ENOSYS: 38, EAFNOSUPPORT: 97 } as const;
export const ACTION = { allow: 0x7fff0000, errno: 0x00050000, killProcess: 0x80000000 } as const;

/** Calls newer than the split of the tables have one number on every machine. */
const DENIED_EVERYWHERE = {
  io_uring_setup: 425,
  io_uring_enter: 426,
  io_uring_register: 427,
  pidfd_getfd: 438,
  quotactl_fd: 443,
};

/**
 * Answered with ENOSYS, as by an older kernel. clone3 takes its flags in memory, where a filter can't read them: libc falls back to clone.
 * The new mount API: callers fall back to mount, which is denied.
 */
export const ABSENT: Readonly<Record<string, number>> = {
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  fspick: 433,
  clone3: 435,
  mount_setattr: 442,
  open_tree_attr: 467,
};

export const TABLES: Readonly<Record<'x64' | 'arm64', SyscallTable>> = {
  // Numbers of asm/unistd_64.h.
  x64: {
    auditArch: 0xc000003e,
    foreignFrom: 0x40000000,
    clone: 56,
    ioctl: 16,
    socket: 41,
    socketpair: 53,
    denied: {
      ...DENIED_EVERYWHERE,
      ptrace: 101,
      syslog: 103,
      uselib: 134,
      pivot_root: 155,
      chroot: 161,
      acct: 163,
      mount: 165,
      umount2: 166,
      swapon: 167,
      swapoff: 168,
      reboot: 169,
      iopl: 172,
      ioperm: 173,
      create_module: 174,
      init_module: 175,
      delete_module: 176,
      query_module: 178,
      quotactl: 179,
      nfsservctl: 180,
      lookup_dcookie: 212,
      kexec_load: 246,
      add_key: 248,
      request_key: 249,
      keyctl: 250,
      unshare: 272,
      perf_event_open: 298,
      open_by_handle_at: 304,
      setns: 308,
      process_vm_readv: 310,
      process_vm_writev: 311,
      kcmp: 312,
      finit_module: 313,
      kexec_file_load: 320,
      bpf: 321,
      userfaultfd: 323,
    },
  },
  // Numbers of asm-generic/unistd.h.
  arm64: {
    auditArch: 0xc00000b7,
    foreignFrom: null,
    clone: 220,
    ioctl: 29,
    socket: 198,
    socketpair: 199,
    denied: {
      ...DENIED_EVERYWHERE,
      lookup_dcookie: 18,
      umount2: 39,
      mount: 40,
      pivot_root: 41,
      nfsservctl: 42,
      chroot: 51,
      quotactl: 60,
      acct: 89,
      unshare: 97,
      kexec_load: 104,
      init_module: 105,
      delete_module: 106,
      syslog: 116,
      ptrace: 117,
      reboot: 142,
      add_key: 217,
      request_key: 218,
      keyctl: 219,
      swapon: 224,
      swapoff: 225,
      perf_event_open: 241,
      open_by_handle_at: 265,
      setns: 268,
      process_vm_readv: 270,
      process_vm_writev: 271,
      kcmp: 272,
      finit_module: 273,
      bpf: 280,
      userfaultfd: 282,
      kexec_file_load: 294,
    },
  },
};

/** CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET. CLONE_NEWTIME can't be given to clone. */
const CLONE_NEW = 0x7e020000;
/** TIOCSTI types into a terminal, TIOCLINUX pastes into a console, TIOCSETD makes the kernel load a module for a line discipline. */
const DENIED_IOCTLS = [0x5412, 0x541c, 0x5423];
/** AF_UNIX, AF_INET, AF_INET6, AF_NETLINK (getaddrinfo and the like need the last). */
const SOCKET_FAMILIES = [1, 2, 10, 16];

// struct seccomp_data: nr, arch, instruction_pointer, args[6]. Little-endian, so an argument's low half stands first.
const NR = 0;
const ARCH = 4;
const ARG_0 = 16;
const ARG_1 = 24;

// Opcodes of linux/bpf_common.h: load a word, jump if equal / greater or equal / any bit set, return.
const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const JUMP_ANY_BIT = 0x45;
const RETURN = 0x06;

type Verdict = 'allow' | 'eperm' | 'enosys' | 'eafnosupport' | 'kill';
type Step =
  | { readonly load: number }
  | {
      readonly jump: number;
      readonly k: number;
      readonly yes: Verdict | 'next';
      readonly no: Verdict | 'next' | number;
    };

const VERDICTS: Readonly<Record<Verdict, number>> = {
  allow: ACTION.allow,
  eperm: ACTION.errno | ERRNO.EPERM,
  enosys: ACTION.errno | ERRNO.ENOSYS,
  eafnosupport: ACTION.errno | ERRNO.EAFNOSUPPORT,
  kill: ACTION.killProcess,
};

/** The program for one machine, by default this one. Throws for a machine without a table: then nothing may run. */
export function seccompFilter(arch: string = process.arch): Buffer {
  if (arch !== 'x64' && arch !== 'arm64') {
    throw new Error(`there is no seccomp filter for ${arch}: the sandbox runs on x64 and arm64`);
  }
  return assemble(steps(TABLES[arch]));
}

function steps(table: SyscallTable): Step[] {
  const when = (k: number, yes: Verdict): Step => ({ jump: JUMP_EQUAL, k, yes, no: 'next' });
  const foreign: Step[] =
    table.foreignFrom === null ? [] : [{ jump: JUMP_AT_LEAST, k: table.foreignFrom, yes: 'enosys', no: 'next' }];
  return [
    { load: ARCH },
    { jump: JUMP_EQUAL, k: table.auditArch, yes: 'next', no: 'kill' },
    { load: NR },
    ...foreign,
    ...Object.values(ABSENT).map((nr) => when(nr, 'enosys')),
    ...Object.values(table.denied).map((nr) => when(nr, 'eperm')),
    ...only(table.clone, [{ load: ARG_0 }, { jump: JUMP_ANY_BIT, k: CLONE_NEW, yes: 'eperm', no: 'allow' }]),
    ...only(table.ioctl, [{ load: ARG_1 }, ...choose(DENIED_IOCTLS, 'eperm', 'allow')]),
    ...only(table.socket, [{ load: ARG_0 }, ...choose(SOCKET_FAMILIES, 'allow', 'eafnosupport')]),
    // The kernel makes both sockets, and loads the family's module, before it finds that the family has no pairs.
    ...only(table.socketpair, [{ load: ARG_0 }, ...choose(SOCKET_FAMILIES, 'allow', 'eafnosupport')]),
  ];
}

/** The steps for one call; other calls skip them. They must end in a verdict. */
function only(nr: number, inner: readonly Step[]): Step[] {
  return [{ jump: JUMP_EQUAL, k: nr, yes: 'next', no: inner.length }, ...inner];
}

function choose(values: readonly number[], yes: Verdict, otherwise: Verdict): Step[] {
  return values.map((k, index) => ({ jump: JUMP_EQUAL, k, yes, no: index === values.length - 1 ? otherwise : 'next' }));
}

/** Steps, then the return instructions: `allow` first, which is also where the last step falls through to. */
function assemble(list: readonly Step[]): Buffer {
  const verdicts = Object.keys(VERDICTS) as Verdict[];
  const offset = (target: Verdict | 'next' | number, index: number): number => {
    if (target === 'next') return 0;
    if (typeof target === 'number') return target;
    return list.length + verdicts.indexOf(target) - index - 1;
  };
  const code = list.map((step, index) =>
    'load' in step
      ? instruction(LOAD, step.load)
      : instruction(step.jump, step.k, offset(step.yes, index), offset(step.no, index)),
  );
  return Buffer.concat([...code, ...verdicts.map((verdict) => instruction(RETURN, VERDICTS[verdict]))]);
}

/** struct sock_filter. writeUInt8 throws when a jump is longer than its byte. */
function instruction(code: number, k: number, jumpTrue = 0, jumpFalse = 0): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(jumpTrue, 2);
  bytes.writeUInt8(jumpFalse, 3);
  bytes.writeUInt32LE(k >>> 0, 4);
  return bytes;
}
