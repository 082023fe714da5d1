// Measures what a slot takes on the host's disk. The walk is a process of its own, behind others in the queue for the CPU: never in the event
// loop, never through a link, never out of the file system, and never shorter for what the payload did to be overlooked.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { SlotPlace } from './keeper.ts';
import { SHOWN } from './sandbox/policy.ts';

const run = promisify(execFile);

/** A walk over a million files takes some seconds. */
const WALK_MS = 60_000;
/** Behind what serves people, but not so far that a slot which spins on every core could grow unseen. */
const NICE = '5';

/** What workspace and /tmp hold together, with what is being written into the workspace. */
export interface Used {
  /** Blocks, not lengths: a sparse file takes what is written of it. */
  readonly bytes: number;
  /** Names of files, directories and links, and files that have lost their last name and are held open. */
  readonly files: number;
}

/**
 * find walks by descriptors, and its complaints go nowhere, so that no number of them ends it. The blocks of a file with several names count
 * once: all its names lie in the slot. Files without a name are found by the descriptors and maps of every process that has this workspace as
 * its /workspace. As an ordinary user find gets the rights of a user namespace's root, where there are such, to look into directories that the
 * payload has shut.
 */
const SCRIPT = `
my ($root, $shown, @dirs) = @ARGV;
my ($bytes, $files) = (0, 0);
open STDERR, '>', '/dev/null';
sub walk {
  my $seen = 0;
  open my $find, '-|', @_, 'find', @dirs, '-xdev', '-printf', '%y %b %n\\n' or return 0;
  while (<$find>) {
    my ($kind, $blocks, $names) = split;
    $seen++;
    $bytes += 512 * ($kind eq 'd' ? $blocks : $blocks / ($names || 1));
  }
  $files = $seen - grep { -d } @dirs;
  return $seen;
}
walk($root ? () : ('unshare', '--map-root-user', '--')) or walk() or exit 1;
my ($dev, $ino) = stat $dirs[0];
my %held;
for my $process (glob '/proc/[0-9]*') {
  my @there = stat "$process/root$shown" or next;
  next unless $there[0] == $dev && $there[1] == $ino;
  for my $kind ('fd', 'map_files') {
    opendir my $dir, "$process/$kind" or next;
    while (defined(my $name = readdir $dir)) {
      my @file = stat "$process/$kind/$name" or next;
      next if $file[3] != 0 || $file[0] != $dev || ($file[2] & 0170000) != 0100000 || $held{$file[1]}++;
      $bytes += 512 * $file[12];
      $files++;
    }
  }
}
printf "%.0f %d\\n", $bytes, $files;
`;

/** null when it can't be measured. */
export async function measureDisk({ workspace, tmp, drafts }: SlotPlace): Promise<Used | null> {
  const who = process.getuid?.() === 0 ? 'root' : '';
  const args = ['-n', NICE, '/usr/bin/perl', '-e', SCRIPT, who, SHOWN.workspace, workspace, tmp, drafts];
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C' };
  const options = { env, cwd: '/', timeout: WALK_MS, killSignal: 'SIGKILL' } as const;
  const stdout = await run('nice', args, options).then(
    (ended) => ended.stdout,
    () => '',
  );
  const [, bytes, files] = /^(\d+) (\d+)\n$/.exec(stdout) ?? [];
  return bytes === undefined ? null : { bytes: Number(bytes), files: Number(files) };
}
