# Floor of commands where there is no C compiler: the orders and answers of spawn.c by Perl's fork and exec.
use strict;
use POSIX ();
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC usleep);

my @files;
while (@ARGV) { my $file = shift @ARGV; last if $file eq '--'; push @files, [split /=/, $file, 2] }
my @line = @ARGV;
my @cold = ('bash', '-c', 'true');
my @warm = ('sh', '-c', 'echo; read -r c; exec bash -c "$c"');
$| = 1;

while (my $order = <STDIN>) {
  if ($order =~ /^cold (\d+)/) { cold($1) }
  elsif ($order =~ /^warm (\d+)/) { warm($1) }
  elsif ($order =~ /^rate (\d+) (\d+)/) { rate($1, $2) }
  print ".\n";
}

sub now_ms { clock_gettime(CLOCK_MONOTONIC) * 1e3 }

sub start {
  my ($payload, $in, $out) = @_;
  my $pid = fork;
  return $pid if $pid;
  $in //= POSIX::open('/dev/null', POSIX::O_RDONLY());
  $out //= POSIX::open('/dev/null', POSIX::O_WRONLY());
  POSIX::dup2($in, 0);
  POSIX::dup2($out, 1);
  for (@files) {
    my ($fd, $path) = @$_;
    my $open = POSIX::open($path, POSIX::O_RDWR());
    if ($open != $fd) { POSIX::dup2($open, $fd); POSIX::close($open) }
  }
  exec { $line[0] } @line, @$payload;
  POSIX::_exit(127);
}

sub ended { waitpid shift, 0; die "it ended with $?\n" if $? }

sub cold {
  for (1 .. shift) {
    my $begin = now_ms();
    ended(start(\@cold));
    printf "%.4f\n", now_ms() - $begin;
  }
}

sub warm {
  for (1 .. shift) {
    pipe my $in_r, my $in_w;
    pipe my $out_r, my $out_w;
    my $pid = start(\@warm, fileno $in_r, fileno $out_w);
    sysread $out_r, my $ready, 1;
    usleep(2000);
    my $begin = now_ms();
    syswrite $in_w, "true\n";
    ended($pid);
    printf "%.4f\n", now_ms() - $begin;
  }
}

sub rate {
  my ($ms, $width) = @_;
  my $begin = now_ms();
  start(\@cold) for 1 .. $width;
  my $done = 0;
  for (; now_ms() - $begin < $ms; $done++) { wait; start(\@cold) }
  my $took = now_ms() - $begin;
  1 while wait > 0;
  printf "%.2f\n", $done / $took * 1e3;
}
