// The first process of a slot's standing sandbox, as Perl: it starts a cell for each command and tells how each one ended. It holds no capability, sees
// no order and no output, and no payload sees it: it is outside of every cell's pid namespace.
import type { Limits } from './policy.ts';
import { RUNNER } from './runner.ts';

/** Descriptors of one cell: stdin, stdout, stderr, control. */
export const CELL_PIPES = 4;

export interface WardenProgramOptions {
  /** Its first descriptor of groups and cells. */
  readonly from: number;
  /** Files of control groups for each group. */
  readonly joins: number;
  readonly filter: Buffer;
  readonly masked: readonly string[];
  readonly limits: Limits;
  /** Of a cell's processes and threads. */
  readonly processes: number;
  /** Each cell has a network of its own, with nothing in it. */
  readonly ownNetwork: boolean;
}

/** Orders to a warden, one a line, and what it says. A cell is begun once. */
export const wardenBegin = (cell: number): string => `c ${cell}\n`;
export const wardenKill = (cell: number): string => `k ${cell}\n`;

/** What a warden says of one of its cells: the wait status of its first process, with which everything in it is dead. */
export function cellEndOf(line: string): { readonly cell: number; readonly waitStatus: number } | null {
  const [, cell, waitStatus] = /^end (\d{1,4}) (\d{1,5})$/.exec(line) ?? [];
  return cell === undefined || waitStatus === undefined ? null : { cell: Number(cell), waitStatus: Number(waitStatus) };
}

/** Starts with BOOT, as the runner, and becomes one in each cell. */
export function wardenProgram(options: WardenProgramOptions): string {
  const { from, joins, filter, masked, limits, processes, ownNetwork } = options;
  // Values of ours alone: numbers, hex, and names of files that stand in this source.
  const values = [
    `my ($from, $joins, $shm, $processes, $own_network) = (${from}, ${joins}, ${limits.shmBytes}, ${processes}, ${ownNetwork ? 1 : 0});`,
    `my $filter = pack "H*", "${filter.toString('hex')}";`,
    `my @masked = qw(${masked.join(' ')});`,
  ];
  return ['use strict;', ...values, WARDEN, CELL, RUNNER].join('\n');
}

/**
 * Its own group's files come first, then each cell's four pipes and its group's files. CLONE_NEW* for a cell: UTS, IPC, USER, PID, NS, and NET.
 * A syscall's numbers are those of x86_64 and aarch64. clone without a stack is fork.
 */
const WARDEN = String.raw`
my $x86 = (unpack("x18 v", do { open my $f, "<", "/proc/self/exe"; sysread $f, my $h, 20; $h }) == 62);
my ($prctl, $close, $dup3) = $x86 ? (157, 3, 292) : (167, 57, 24);
my $new = 17 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x00020000 | ($own_network ? 0x40000000 : 0);
sub fail { syswrite STDERR, "slotcast: $_[0]: $!\n"; exit 125 }
sub put {
  my ($path, $text, $f) = @_;
  open($f, ">", $path) && defined(syswrite $f, $text) or fail "a sandbox for the command: $path";
}
sub join_group {
  for (my $fd = shift, my $left = $joins; $left > 0; $fd++, $left--) {
    my $f;
    open($f, ">&=", $fd) && defined(syswrite $f, "0") or fail "the limits of memory and processes could not be set";
  }
}
fcntl C, 2, 1;
join_group $from;
syscall $prctl, 4, 0, 0, 0, 0;
syscall $prctl, 38, 1, 0, 0, 0;
$0 = "slotcast warden";
syswrite C, "ready\n";
my ($cell, $line, %cell, %watch, %mounts) = (undef, "");
WARDEN: while (1) {
  my $r = "";
  vec($r, $_, 1) = 1 for 3, grep { $_ >= 0 } values %watch;
  my $n = select $r, undef, undef, (grep { $_ < 0 } values %watch) ? 0.05 : undef;
  while ((my $pid = waitpid -1, 1) > 0) {
    my $status = $?;
    syswrite C, "end " . delete($cell{$pid}) . " $status\n";
    syscall $close, $_ for grep { $_ >= 0 } delete $watch{$pid}, delete $mounts{$pid};
  }
  next if $n <= 0 || !vec($r, 3, 1);
  sysread C, $line, 4096, length $line or exit 0;
  while ($line =~ s/^(\w) (\d+)\n//) {
    my ($what, $which) = ($1, $2);
    if ($what eq "k") { kill 9, grep { $cell{$_} == $which } keys %cell; next }
    # A cell may be looked at from its first moment; nobody else of that user can see this process.
    syscall $prctl, 4, 1, 0, 0, 0;
    my $pid = syscall $x86 ? 56 : 220, $new, 0, 0, 0, 0;
    if ($pid == 0) { $cell = $which; last WARDEN }
    my $at = $from + $joins + $which * (4 + $joins);
    if ($pid < 0) {
      open my $f, ">&=", $at + 2;
      syswrite $f, "slotcast: a sandbox for the command: clone: $!\n";
      syswrite C, "end $which 32000\n";
    }
    else {
      $cell{$pid} = $which;
      $watch{$pid} = syscall 434, $pid, 0;
      # PIDFD_GET_MNT_NAMESPACE, from kernel 6.11 on: its mounts are taken down here, after its end was told, and not while the end is waited for.
      $mounts{$pid} = syscall $x86 ? 16 : 29, $watch{$pid}, 0xff03, 0;
    }
    syscall $prctl, 4, 0, 0, 0, 0;
    syscall $close, $_ for $at .. $at + 3 + $joins;
  }
}
`;

/**
 * A cell from its first moment until it is a runner: into its group, then its own mounts, then a user namespace in which no other can be made, as bwrap
 * does it, then no capability, the filter. It is pid 1 there. As user 0 of a first namespace of its own, without which there is no devpts, it has every
 * capability over what it has made, and over nothing else.
 */
const CELL = String.raw`
syscall $x86 ? 112 : 157;
my $at = $from + $joins + $cell * (4 + $joins);
syscall $dup3, $at + $_, $_, 0 for 0 .. 3;
join_group $at + 4;
$main::may_fork = 1;
syscall 436, 4, 0xffffffff, 0;
sub mount_at {
  my ($what, $where, $type, $flags, $data) = @_;
  $_ .= "\0" for $what, $where, $type, $data;
  syscall($x86 ? 165 : 40, $what, $where, $type, $flags, $data) == 0 or fail "a sandbox for the command: mount $where";
}
# Flags: 1 read-only, 2 no setuid, 4 no devices, 8 no programs, 32 remount, 4096 bind, 16384 recursive, 1 << 18 private.
sub bind_read_only {
  my ($what, $where) = @_;
  mount_at($what, $where, "", 4096, "");
  mount_at("", $where, "", 4096 | 32 | 1 | 2 | 4 | 8, "");
}
put "/proc/self/setgroups", "deny";
put "/proc/self/uid_map", "0 1000 1";
put "/proc/self/gid_map", "0 1000 1";
syscall $x86 ? 272 : 97, 0x02000000;
mount_at("", "/", "", 16384 | 1 << 18, "");
mount_at("proc", "/proc", "proc", 2 | 4 | 8, "");
put "/proc/sys/user/max_user_namespaces", "1";
bind_read_only("/proc/sys", "/proc/sys");
bind_read_only("/dev/null", $_) for @masked;
mount_at("tmpfs", "/dev/shm", "tmpfs", 2 | 4, "mode=1777,size=$shm");
mount_at("devpts", "/dev/pts", "devpts", 2 | 8, "newinstance,ptmxmode=0666,mode=620");
if ($own_network) {
  my $up = pack "a16 s x22", "lo", 0x41;
  my $s;
  socket($s, 2, 2, 0) && ioctl $s, 0x8914, $up or fail "a sandbox for the command: loopback";
}
syscall($x86 ? 272 : 97, 0x10000000) == 0 or fail "a sandbox for the command: user namespace";
put "/proc/self/uid_map", "1000 0 1";
put "/proc/self/gid_map", "1000 0 1";
my $few = pack "Q2", $processes, $processes;
syscall($x86 ? 160 : 164, 6, $few) == 0 or fail "a sandbox for the command: processes";
# Up to the first that this kernel does not know.
for (0 .. 63) { next if syscall($prctl, 24, $_, 0, 0, 0) == 0; last if $! == 22; fail "a sandbox for the command: bounding set" }
syscall($prctl, 47, 4, 0, 0, 0) == 0 or fail "a sandbox for the command: ambient set";
my ($whose, $none) = (pack("L2", 0x20080522, 0), pack("L6", 0, 0, 0, 0, 0, 0));
syscall($x86 ? 126 : 91, $whose, $none) == 0 or fail "a sandbox for the command: capabilities";
syscall($prctl, 38, 1, 0, 0, 0) == 0 or fail "a sandbox for the command: privileges";
my $program = pack "S x6 P", length($filter) / 8, $filter;
syscall($prctl, 22, 2, $program, 0, 0) == 0 or fail "a sandbox for the command: seccomp";
`;
