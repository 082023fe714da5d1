// System calls by name as Perl that makes them, and a program of a few bytes; numbers of x86_64 and aarch64, from the kernel's headers.
const machine = process.arch === 'arm64' ? 1 : 0;

/** [x86_64, aarch64]; written down apart from the filter's table, which they check. */
export const NUMBERS = {
  acct: [163, 89],
  add_key: [248, 217],
  bpf: [321, 280],
  clock_settime: [227, 112],
  chroot: [161, 51],
  clone: [56, 220],
  clone3: [435, 435],
  delete_module: [176, 106],
  fanotify_init: [300, 262],
  finit_module: [313, 273],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fsopen: [430, 430],
  fspick: [433, 433],
  getpid: [39, 172],
  init_module: [175, 105],
  inotify_init1: [294, 26],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  io_uring_setup: [425, 425],
  ioctl: [16, 29],
  kcmp: [312, 272],
  kexec_load: [246, 104],
  keyctl: [250, 219],
  memfd_create: [319, 279],
  mount: [165, 40],
  mount_setattr: [442, 442],
  move_mount: [429, 429],
  mq_open: [240, 180],
  open_by_handle_at: [304, 265],
  open_tree: [428, 428],
  open_tree_attr: [467, 467],
  perf_event_open: [298, 241],
  personality: [135, 92],
  pidfd_getfd: [438, 438],
  pidfd_open: [434, 434],
  pivot_root: [155, 41],
  prctl: [157, 167],
  prlimit64: [302, 261],
  process_madvise: [440, 440],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  ptrace: [101, 117],
  quotactl: [179, 60],
  reboot: [169, 142],
  request_key: [249, 218],
  sched_setscheduler: [144, 119],
  seccomp: [317, 277],
  setdomainname: [171, 162],
  sethostname: [170, 161],
  setns: [308, 268],
  setxattr: [188, 5],
  swapoff: [168, 225],
  swapon: [167, 224],
  syslog: [103, 116],
  timerfd_create: [283, 85],
  umount2: [166, 39],
  unshare: [272, 97],
  userfaultfd: [323, 282],
  vhangup: [153, 58],
} as const satisfies Record<string, readonly [number, number]>;

export type CallName = keyof typeof NUMBERS;

export const callNumber = (name: CallName): number => NUMBERS[name][machine];

/** Perl that makes the call and prints its errno, or "done". Arguments are Perl: numbers, or variables for what is pointed to. */
export function call(name: CallName, ...args: readonly (number | string)[]): string {
  return `my $r = syscall(${[callNumber(name), ...args].join(', ')}); print $r < 0 ? $!+0 : "done";`;
}

/** A program of nothing but this code, for x86_64: no compiler is needed. */
export function elf(code: readonly number[]): Buffer {
  const base = 0x400000n;
  const size = 64 + 56;
  const file = Buffer.alloc(size + code.length);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  // ET_EXEC, x86_64, version; entry; program headers follow; sizes.
  file.writeUInt16LE(2, 16);
  file.writeUInt16LE(62, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(base + BigInt(size), 24);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(64, 52);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(1, 56);
  // PT_LOAD of the whole file, readable and executable.
  file.writeUInt32LE(1, 64);
  file.writeUInt32LE(5, 68);
  file.writeBigUInt64LE(base, 80);
  file.writeBigUInt64LE(base, 88);
  file.writeBigUInt64LE(BigInt(file.length), 96);
  file.writeBigUInt64LE(BigInt(file.length), 104);
  file.writeBigUInt64LE(0x1000n, 112);
  file.set(code, size);
  return file;
}

/** getpid by the 32-bit gate, then exit(0): on a kernel that knows i386 it works outside. */
export const I386_PROGRAM = elf([
  ...[0xb8, 20, 0, 0, 0],
  ...[0xcd, 0x80],
  ...[0xb8, 60, 0, 0, 0],
  ...[0x31, 0xff],
  ...[0x0f, 0x05],
]);
