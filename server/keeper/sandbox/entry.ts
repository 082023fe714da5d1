// From the gateway to a terminal's sandbox, as Perl on the terminal itself: into its control groups, to the slot's user, under its limits.
// sh, setpriv and prlimit would do it too, at one exec each, which takes as long as a small command.
import type { Identity } from '../keeper.ts';
import type { PtyEntry } from '../pty-child.ts';
import type { ResourceLimits } from './limit.ts';

export interface EntryOptions {
  /** null: it stays who the gateway is, which is not root. */
  readonly identity: Identity | null;
  /** Files of control groups, to which a process writes 0 to be in them. */
  readonly joins: readonly string[];
  readonly limits: ResourceLimits;
}

/** As setrlimit(2) numbers them. */
const RESOURCES = { fsize: 1, core: 4, nproc: 6, nofile: 7 } as const;

export function sandboxEntry({ identity, joins, limits }: EntryOptions): PtyEntry {
  const numbers = Object.entries(limits).map(([name, value]) => `${RESOURCES[name as keyof typeof limits]}=${value}`);
  const user = [identity?.uid ?? 'same', identity?.gid ?? 'same'].map(String);
  return { program: ENTRY, args: [...user, String(joins.length), ...joins, String(numbers.length), ...numbers] };
}

/**
 * A group is joined before anything is started, so that it has everything. The user changes before the limits, which count for the new one, and takes
 * no group, no capability and no way to get one back along. A syscall's numbers are those of x86_64 and aarch64; its numbers must not be strings.
 */
const ENTRY = String.raw`
my $x86 = (unpack("x18 v", do { open my $f, "<", "/proc/self/exe"; sysread $f, my $h, 20; $h }) == 62);
my ($prctl, $capset, $setgroups, $setresgid, $setresuid, $setrlimit) = $x86 ? (157, 126, 116, 119, 117, 160) : (167, 91, 159, 149, 147, 164);
sub must { my ($done, $what) = @_; return if $done; print STDERR "slotcast: $what: $!\n"; exit 125 }
my ($uid, $gid) = splice @ARGV, 0, 2;
for (splice @ARGV, 0, shift @ARGV) {
  my $f;
  must(open($f, ">", $_) && defined(syswrite $f, "0"), "the limits of memory and processes could not be set");
}
if ($uid ne "same") {
  ($uid, $gid) = ($uid + 0, $gid + 0);
  # Up to the first that this kernel does not know.
  for (0 .. 63) { next if syscall($prctl, 24, $_, 0, 0, 0) == 0; last if $! == 22; must(0, "bounding set") }
  must(syscall($setgroups, 0, 0) == 0, "groups");
  must(syscall($setresgid, $gid, $gid, $gid) == 0, "group");
  must(syscall($setresuid, $uid, $uid, $uid) == 0, "user");
  my ($whose, $none) = (pack("L2", 0x20080522, 0), pack("L6", 0, 0, 0, 0, 0, 0));
  must(syscall($capset, $whose, $none) == 0, "capabilities");
  must(syscall($prctl, 38, 1, 0, 0, 0) == 0, "privileges");
}
for (splice @ARGV, 0, shift @ARGV) {
  my ($resource, $value) = split /=/;
  my $both = pack "Q2", $value, $value;
  must(syscall($setrlimit, $resource + 0, $both) == 0, "limit $resource");
}
`;
