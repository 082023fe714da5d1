# Floor of terminals: what the kernel, bwrap and bash alone take, by a plain reader of a pty.
# pty.pl FD=FILE… -- LINE…: LINE is a sandbox, to which a payload is added; each FILE is opened as FD for it. Reads orders from stdin:
#   echo N    a key typed at `cat` until it prints it, ms each
#   mark N    `true` typed at a bash until its mark (OSC 133), ms each
#   shell N   the sandbox with a bash until its prompt, ms each
#   flood     all of `seq 1 2000000`, ms
#   hold N    N sandboxes with a bash each stay until the next order; their process ids
# Answers with one number a line, then a dot.
use strict;
use POSIX ();
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

my @files;
while (@ARGV) { my $file = shift @ARGV; last if $file eq '--'; push @files, [split /=/, $file, 2] }
my @line = @ARGV;
my @bash = ('bash', '--norc', '--noprofile', '-i');
my $MARK = "\e]133;D";
my %SHELL = (PATH => '/usr/bin:/bin', TERM => 'xterm-256color', PS1 => "\\[\e]133;D\a\\]\$ ");
my @SET = map { ('--setenv', $_, $SHELL{$_}) } sort keys %SHELL;
my @held;
$| = 1;

while (my $order = <STDIN>) {
  end($_) for splice @held;
  if ($order =~ /^echo (\d+)/) { echoes($1) }
  elsif ($order =~ /^mark (\d+)/) { marks($1) }
  elsif ($order =~ /^shell (\d+)/) { shells($1) }
  elsif ($order =~ /^flood/) { flood() }
  elsif ($order =~ /^hold (\d+)/) { hold($1) }
  print ".\n";
}
end($_) for @held;

sub now_ms { clock_gettime(CLOCK_MONOTONIC) * 1e3 }

sub start {
  my ($sandboxed, @command) = @_;
  sysopen my $master, '/dev/ptmx', POSIX::O_RDWR() | POSIX::O_NOCTTY() or die "no pty: $!\n";
  my ($off, $number) = (pack('i', 0), pack 'i', 0);
  ioctl $master, 0x40045431, $off and ioctl $master, 0x80045430, $number or die "no pty: $!\n";
  $number = unpack 'i', $number;
  my $pid = fork;
  return { pid => $pid, master => $master } if $pid;
  POSIX::setsid();
  close $master;
  my $tty = POSIX::open("/dev/pts/$number", POSIX::O_RDWR());
  POSIX::dup2($tty, $_) for 0 .. 2;
  POSIX::close($tty) if $tty > 2;
  ioctl STDIN, 0x5414, my $size = pack 'S4', 24, 80, 0, 0;
  if ($sandboxed) {
    for (@files) {
      my ($fd, $path) = @$_;
      my $open = POSIX::open($path, POSIX::O_RDWR());
      if ($open != $fd) { POSIX::dup2($open, $fd); POSIX::close($open) }
    }
    @command = (@line[0 .. $#line - 1], @SET, '--', @command);
  }
  %ENV = %SHELL;
  exec { $command[0] } @command;
  POSIX::_exit(127);
}

sub end {
  my ($child) = @_;
  kill 9, $child->{pid};
  waitpid $child->{pid}, 0;
  close $child->{master};
}

sub until_seen {
  my ($child, $wanted) = @_;
  my $seen = '';
  until (index($seen, $wanted) >= 0) {
    sysread $child->{master}, $seen, 65536, length $seen or die "the terminal ended: $seen\n";
  }
}

sub timed {
  my ($child, $typed, $wanted) = @_;
  my $begin = now_ms();
  syswrite $child->{master}, $typed;
  until_seen($child, $wanted);
  printf "%.4f\n", now_ms() - $begin;
}

sub echoes {
  my $child = start(0, 'sh', '-c', 'stty raw -echo; echo ready; exec cat');
  until_seen($child, 'ready');
  timed($child, 'x', 'x') for 1 .. shift;
  end($child);
}

sub marks {
  my $child = start(0, @bash);
  until_seen($child, $MARK);
  timed($child, "true\n", $MARK) for 1 .. shift;
  end($child);
}

sub shells {
  for (1 .. shift) {
    my $begin = now_ms();
    my $child = start(1, @bash);
    until_seen($child, $MARK);
    printf "%.4f\n", now_ms() - $begin;
    end($child);
  }
}

sub flood {
  my $begin = now_ms();
  my $child = start(0, 'seq', '1', '2000000');
  my $last = '';
  while (sysread $child->{master}, my $part, 65536) { $last = substr $last . $part, -16 }
  my $took = now_ms() - $begin;
  die "not all was read: $last\n" if $last !~ /\n2000000\r\n$/;
  end($child);
  printf "%.4f\n", $took;
}

sub hold {
  @held = map { start(1, @bash) } 1 .. shift;
  until_seen($_, $MARK) for @held;
  print "$_->{pid}\n" for @held;
}
