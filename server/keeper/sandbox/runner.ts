// The first process inside a sandbox, as Perl (part of every Debian and Ubuntu): it runs one command, tells its wait status as the kernel gave it, and ends.
// bwrap alone can't: it flattens signals to 128+n, and Node's child stdio are sockets, on which `echo x > /dev/stderr` fails.
// A payload must never reach its descriptors or memory: it is not dumpable.

/** What the runner is asked to do. */
export interface RunnerOrder {
  /** own: pid 1 of its own pid namespace, so that it may kill everything. tree: it kills its descendants. */
  readonly kill: 'own' | 'tree';
  readonly cwd: string;
  /** The whole environment of the payload. */
  readonly env: Readonly<Record<string, string>>;
  /** pipe: what comes on the runner's stdin; null: /dev/null. */
  readonly stdin: 'pipe' | 'null';
  readonly run: { readonly command: string } | { readonly argv: readonly string[] };
}

/** Longest script that bash gets as an argument: the kernel allows 128 KiB for one. Longer ones come as a file in memory. */
const MAX_ARGUMENT_BYTES = 100 * 1024;

/** First frame on descriptor 3 is the program, so that it doesn't stand in every line of ps; then come its leave to fork and the order. */
export const BOOT = [
  '/usr/bin/perl',
  '-e',
  'open C,"+<&=3";sub get{my($n,$b)=(shift,"");while(length$b<$n){sysread(C,$b,$n-length$b,length$b)or exit 125}$b}' +
    'eval get unpack"N",get 4;die$@',
] as const;

/** Orders while it runs, one a line. */
export const runnerSignal = (number: number): string => `s${number}\n`;
/** Kills everything, hands over what is still in the pipes and ends. */
export const RUNNER_STOP = 'k\n';

/** What the runner says of its one command. */
export type RunnerWord = 'ready' | 'pid' | { readonly waitStatus: number };

/** `end 65535` is the longest word; a bit more, and what is longer is none. */
const MAX_WORD_CHARS = 64;

/** Reads what comes from the runner, cut anywhere. It believes nothing but whole words of the right form, and holds less than one. */
export class RunnerReport {
  #rest = '';
  /** The line that has begun is too long to be one of ours. */
  #skips = false;

  take(text: string): RunnerWord[] {
    const lines = text.split('\n');
    const words: RunnerWord[] = [];
    for (const [index, piece] of lines.entries()) {
      this.#skips ||= this.#rest.length + piece.length > MAX_WORD_CHARS;
      this.#rest = this.#skips ? '' : this.#rest + piece;
      if (index === lines.length - 1) break;
      const word = this.#skips ? null : wordOf(this.#rest);
      if (word !== null) words.push(word);
      this.#rest = '';
      this.#skips = false;
    }
    return words;
  }
}

function wordOf(line: string): RunnerWord | null {
  if (line === 'ready') return 'ready';
  if (/^pid \d{1,10}$/.test(line)) return 'pid';
  const waitStatus = Number(/^end (\d{1,5})$/.exec(line)?.[1] ?? Number.NaN);
  return isEnd(waitStatus) ? { waitStatus } : null;
}

/** 16 bits; the low seven are 127 for one that is stopped, which is no end. */
const isEnd = (waitStatus: number): boolean => waitStatus <= 0xffff && (waitStatus & 0x7f) !== 0x7f;

/** A message to the runner: its length in four bytes, then its text. */
export function runnerFrame(text: string): Buffer {
  const body = Buffer.from(text);
  const frame = Buffer.allocUnsafe(4 + body.length);
  frame.writeUInt32BE(body.length, 0);
  body.copy(frame, 4);
  return frame;
}

/** The runner is in its group: what it forks now is there too. One that has gone there by itself knows. */
export const RUNNER_MAY_FORK = runnerFrame('');

/** NUL-separated: nothing that a process is given can hold a NUL. */
export function orderText(order: RunnerOrder): string {
  const { kill, stdin, cwd, run } = order;
  const env = Object.entries(order.env);
  const inline = 'command' in run && Buffer.byteLength(run.command) <= MAX_ARGUMENT_BYTES;
  const script = 'command' in run && !inline ? run.command : '';
  const argv = 'argv' in run ? run.argv : ['bash', '-c', ...(inline ? [run.command] : [])];
  const file = 'argv' in run ? (run.argv[0] ?? '') : '/bin/bash';
  return [kill, stdin, cwd, script, file, String(env.length), ...env.flat(), ...argv].join('\0');
}

/**
 * Landlock, from kernel 6.12 on: no abstract socket of whoever is outside, which under the host's network a desktop or a bus has there and trusts by user id.
 * An older kernel refuses, and nothing changes. LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET is 1.
 */
const SCOPE = `
my $scope = pack "Q3", 0, 0, 1;
my $rules = syscall 444, $scope, 24, 0;
if ($rules >= 0) { syscall 446, $rules, 0; open my $f, "<&=", $rules; close $f }
`;

/**
 * A host out of memory ends what is in a sandbox before its gateway. Says `ready`, then `pid N`, then `end WAITSTATUS` on descriptor 3. Once it may, it forks
 * what becomes the payload and reads the order itself, since to fork, or to hand something on, takes as long as a part of a small command. Its stdin, stdout and
 * stderr are sockets of the gateway, which it joins to real pipes. A syscall's numbers are those of x86_64 and aarch64.
 */
export const RUNNER = String.raw`
use strict;
my $x86 = (unpack("x18 v", do { open my $f, "<", "/proc/self/exe"; sysread $f, my $h, 20; $h }) == 62);
if (open my $f, ">", "/proc/self/oom_score_adj") { syswrite $f, 500; close $f }
syscall($x86 ? 157 : 167, 4, 0, 0, 0, 0);
syscall($x86 ? 157 : 167, 38, 1, 0, 0, 0);
umask 022;
if (syscall(436, 4, 0xffffffff, 0) < 0) {
  opendir my $fds, "/proc/self/fd";
  my @foreign = grep { /^\d+$/ && $_ > 3 && $_ != fileno $fds } readdir $fds;
  closedir $fds;
  for (@foreign) { open my $f, "<&=", $_; close $f }
}
fcntl C, 2, 1;
$0 = "slotcast";
syswrite C, "ready\n";
get unpack "N", get 4 unless $main::may_fork;
sub unblock { my $f = shift; fcntl $f, 4, fcntl($f, 3, 0) | 2048 }

my ($in_r, $in_w, $out_r, $out_w, $err_r, $err_w, $how_r, $how_w);
pipe $in_r, $in_w; pipe $out_r, $out_w; pipe $err_r, $err_w; pipe $how_r, $how_w;
$SIG{PIPE} = "IGNORE";
$SIG{CHLD} = sub {};
my $pid = fork;
if (!defined $pid) { syswrite STDERR, "slotcast: fork: $!\n"; exit 126 }
if (!$pid) {
  setpgrp 0, 0;
  close $how_r;
  my ($kill, $stdin, $cwd, $script, $file, $count, @rest) = split /\0/, get(unpack "N", get 4), -1;
  close C;
  syswrite $how_w, "$kill $stdin";
  close $how_w;
  my %env = splice @rest, 0, 2 * $count;
  if ($kill eq "own") {${SCOPE}}
  if (length $script) {
    my $name = "script\0";
    my $script_fd = syscall($x86 ? 319 : 279, $name, 0);
    open my $f, ">&", $script_fd;
    my $text = "exec $script_fd<&-;" . $script;
    my $at = 0;
    while ($at < length $text) { my $n = syswrite $f, $text, length($text) - $at, $at; last unless $n; $at += $n }
    push @rest, ". /dev/fd/$script_fd";
  }
  if ($stdin eq "pipe") { open STDIN, "<&", $in_r } else { open STDIN, "<", "/dev/null" }
  open STDOUT, ">&", $out_w; open STDERR, ">&", $err_w;
  $SIG{$_} = "DEFAULT" for "PIPE", "CHLD";
  if (!chdir $cwd) { syswrite STDERR, "slotcast: $cwd: $!\n"; exit 126 }
  %ENV = %env;
  exec { $file } @rest;
  my $code = $! + 0;
  my $why = $code == 2 && $file !~ m{/} ? "command not found" : "$!";
  syswrite STDERR, "slotcast: $file: $why\n";
  exit($code == 2 ? 127 : 126);
}
setpgrp $pid, $pid;
close $_ for $in_r, $out_w, $err_w, $how_w;
my $how = "";
until (length $how) { my $n = sysread $how_r, $how, 64; exit 125 if defined $n ? !$n : $! != 4 }
my ($kill, $stdin) = split / /, $how;
undef $in_w if $stdin ne "pipe";
syswrite C, "pid $pid\n";
my $watch_fd = syscall(434, $pid, 0);
unblock($_) for grep { defined } \*C, \*STDIN, \*STDOUT, \*STDERR, $in_w, $out_r, $err_r;
my @flow = ([$out_r, \*STDOUT, ""], [$err_r, \*STDERR, ""]);
my ($input, $input_open, $line, $ended) = ("", defined $in_w, "", 0);

sub tree {
  my %parent;
  opendir my $proc, "/proc";
  for my $p (grep { /^\d+$/ } readdir $proc) {
    open my $f, "<", "/proc/$p/stat" or next;
    sysread $f, my $s, 1024;
    $parent{$p} = $2 if $s =~ /\) (\S) (\d+)/ && $1 ne "Z";
  }
  my @all = ($$); my @found;
  while (@all) { my $p = shift @all; my @c = grep { $parent{$_} == $p } keys %parent; push @found, @c; push @all, @c }
  @found;
}
sub kill_all {
  if ($kill eq "own") { kill 9, -1; return }
  kill 9, $pid unless $ended; kill 9, -$pid;
  for (1 .. 50) { my @left = tree() or last; kill 9, @left; reap() }
}
sub reap {
  my $status;
  while ((my $p = waitpid -1, 1) > 0) { $status = $? if $p == $pid }
  return unless defined $status;
  $ended = 1;
  syswrite C, "end $status\n";
  kill_all();
  for my $f (@flow) {
    while ($$f[0]) { my $n = sysread $$f[0], $$f[2], 65536, length $$f[2]; undef $$f[0] unless $n }
  }
  undef $in_w; $input = ""; $input_open = 0;
}
sub order {
  my $n = sysread C, $line, 4096, length $line;
  return if !defined $n && ($! == 11 || $! == 4);
  if (!$n) { kill_all(); exit 125 }
  while ($line =~ s/^(.*)\n//) {
    my $o = $1;
    if ($o eq "k") { kill_all() }
    elsif ($o =~ /^s(\d+)$/ && !$ended) { kill($1, -$pid) || kill($1, $pid) }
  }
}
sub flush {
  my ($to, $buffer) = @_;
  my $n = syswrite $to, $$buffer;
  if (defined $n) { substr $$buffer, 0, $n, ""; return 1 }
  $! == 11 || $! == 4;
}

syscall($x86 ? 157 : 167, 36, 1, 0, 0, 0) if $kill eq "tree";
until ($ended && !grep { length $$_[2] } @flow) {
  my ($r, $w) = ("", "");
  vec($r, 3, 1) = 1;
  vec($r, $watch_fd, 1) = 1 if $watch_fd >= 0 && !$ended;
  vec($r, 0, 1) = 1 if $input_open && length $input < 65536;
  vec($w, fileno $in_w, 1) = 1 if $in_w && length $input;
  for (@flow) {
    vec($r, fileno $$_[0], 1) = 1 if $$_[0] && length $$_[2] < 65536;
    vec($w, fileno $$_[1], 1) = 1 if length $$_[2];
  }
  my $n = select $r, $w, undef, $watch_fd < 0 ? 0.05 : undef;
  if ($n <= 0) { reap(); next }
  order() if vec($r, 3, 1);
  if ($input_open && vec($r, 0, 1)) {
    my $n = sysread STDIN, $input, 65536, length $input;
    $input_open = 0 if defined $n ? !$n : $! != 11 && $! != 4;
  }
  if ($in_w && length $input && !flush($in_w, \$input)) {
    undef $in_w; $input = ""; $input_open = 0;
    # The writer is told by EPIPE; one that waits for room wakes up when what is queued is gone.
    shutdown STDIN, 0;
    1 while sysread STDIN, my $unread, 65536;
  }
  undef $in_w if !$input_open && !length $input;
  for (@flow) {
    my ($from, $to) = @$_;
    if ($from && vec($r, fileno $from, 1)) {
      my $n = sysread $from, $$_[2], 65536, length $$_[2];
      undef $$_[0] if defined $n ? !$n : $! != 11 && $! != 4;
    }
    $$_[2] = "" if length $$_[2] && !flush($to, \$$_[2]);
  }
  reap();
}
syscall($x86 ? 231 : 94, 0);
`;

/** Before the name of a variable that waits for the payload. */
const HELD = 'SLOTCAST_HELD_';

/** Variables under names that mean nothing. LD_PRELOAD, PATH or PERL5OPT would let a payload act in what starts it, as pid 1 or as the host's root. */
export function heldEnv(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [HELD + name, value]));
}

/** Becomes its arguments, with what was held as the whole environment. */
const BECOME = String.raw`
%ENV = map { substr($_, length "${HELD}") => $ENV{$_} } grep { /^${HELD}/ } keys %ENV;
exec { $ARGV[0] } @ARGV;
print STDERR "slotcast: $ARGV[0]: $!\n";
exit 127;
`;

/** Without a sandbox: what stands between the drop to the slot's user and the payload. */
export const BARE_INIT = ['/usr/bin/perl', '-e', BECOME] as const;

/**
 * First process of a terminal's sandbox: runs its arguments on the pty that it stands on, with no other descriptors, reaps, ends as they end.
 * With it, as with the runner, everything in the sandbox is dead before bwrap ends. On descriptor 3 it says that they begin.
 */
export const terminalInit = (processes: number): string[] => [
  '/usr/bin/perl',
  '-e',
  String.raw`
my $few = pack "Q2", ${processes}, ${processes};
my $x86 = unpack("x18 v", do { open my $f, "<", "/proc/self/exe"; sysread $f, my $h, 20; $h }) == 62;
if (open my $f, ">", "/proc/self/oom_score_adj") { syswrite $f, 500; close $f }
syscall $x86 ? 157 : 167, 4, 0, 0, 0, 0;
syscall($x86 ? 160 : 164, 6, $few) == 0 or die "processes: $!\n";
umask 022;${SCOPE}open my $word, ">&=", 3; syswrite $word, "begins\n"; close $word;
opendir my $fds, "/proc/self/fd";
my @foreign = grep { /^\d+$/ && $_ > 2 && $_ != fileno $fds } readdir $fds;
closedir $fds;
for (@foreign) { open my $f, "<&=", $_; close $f }
my $pid = fork;
defined $pid or die "fork: $!\n";
if (!$pid) {${BECOME}}
$0 = "slotcast";
1 until wait == $pid;
exit($? & 127 ? 128 + ($? & 127) : $? >> 8);
`,
];
