// The command line of bwrap. Pure. It goes to bwrap through a descriptor, so that no host path stands in the sandbox's /proc/1/cmdline.
import type { Network } from '../../../protocol/slot.ts';
import type { SlotPlace } from '../keeper.ts';
import { type Policy, SHOWN } from './policy.ts';

/** Descriptors that bwrap finds open: from 3 on, without a gap. */
export const FDS = { control: 3, args: 4, seccomp: 5, status: 6, passwd: 7, group: 8, hosts: 9 } as const;

/** What stands in the sandbox's own files of /etc. */
export const ETC_FILES = {
  passwd: 'user:x:1000:1000:user:/workspace:/bin/bash\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n',
  group: 'user:x:1000:\nnogroup:x:65534:\n',
  hosts: '127.0.0.1 localhost sandbox\n::1 localhost\n',
} as const;

/** Of the host's /etc: what the loader, TLS, locales and terminals need. alternatives: many commands of Debian are links through it. */
const ETC = [
  'ld.so.cache',
  'ld.so.conf',
  'ld.so.conf.d',
  'alternatives',
  'ssl',
  'ca-certificates',
  'localtime',
  'nsswitch.conf',
  'protocols',
  'services',
  'terminfo',
  'mime.types',
] as const;

/** Only with network: how the host resolves names. */
const ETC_NETWORK = ['resolv.conf', 'host.conf', 'gai.conf'] as const;

/** Of the kernel's counters in /proc what names things of the host: the keys of the user that the payload is there, which no namespace separates. */
export const MASKED = ['/proc/keys', '/proc/key-users'] as const;

/**
 * What runs in it. terminal: the slot's shell on its pty, which keeps the controlling terminal and sees the spool. runner: one command. warden: starts
 * cells, which bring their own /proc, /dev/shm, filter and limits; the kernel mounts a /proc in them only where one without masks is seen.
 */
export type Inside = 'terminal' | 'runner' | 'warden';

export interface SandboxArgsOptions {
  readonly policy: Policy;
  readonly place: SlotPlace;
  readonly network: Network;
  readonly inside: Inside;
  /** Those of MASKED that this kernel has. */
  readonly masked: readonly string[];
  /** What the sandbox's first process finds; the runner needs none but PATH, since its order holds the payload's. */
  readonly env: Readonly<Record<string, string>>;
}

/** Everything before `--`. */
export function sandboxArgs(options: SandboxArgsOptions): string[] {
  const { policy, place, inside } = options;
  const network = effectiveNetwork(policy, options.network);
  return [
    ...namespaces(network, inside),
    ...environment(options.env),
    ...system(network),
    ...etc(),
    ...['--proc', '/proc', '--dev', '/dev'],
    ...(inside === 'warden' ? [] : commandOwn(options)),
    ...['--dir', '/run', '--dir', '/var', '--symlink', '../tmp', '/var/tmp'],
    ...['--bind', place.tmp, SHOWN.tmp, '--bind', place.workspace, SHOWN.workspace],
    ...(inside === 'terminal' ? ['--ro-bind', place.spool, SHOWN.spool] : []),
    ...policy.mounts.flatMap(({ source, target, readOnly }) => [readOnly ? '--ro-bind' : '--bind', source, target]),
    ...['--chdir', inside === 'warden' ? '/' : SHOWN.workspace, '--remount-ro', '/dev', '--remount-ro', '/'],
    ...(inside === 'warden' ? [] : ['--seccomp', String(FDS.seccomp)]),
    ...['--json-status-fd', String(FDS.status)],
  ];
}

/** What each command has for itself. A cell does the same within its warden's walls: see CELL in warden-program.ts. */
function commandOwn({ policy, masked }: SandboxArgsOptions): string[] {
  return [
    ...['--ro-bind-try', '/proc/sys', '/proc/sys'],
    ...masked.flatMap((path) => ['--ro-bind', '/dev/null', path]),
    ...['--size', String(policy.limits.shmBytes), '--perms', '1777', '--tmpfs', '/dev/shm'],
  ];
}

/** A slot gets what it asks for, never more than the operator allows. */
export function effectiveNetwork(policy: Policy, asked: Network): Network {
  return policy.network === 'host' && asked === 'host' ? 'host' : 'none';
}

/** --as-pid-1: our own first process can't be killed from inside, and when it ends the kernel has ended all others before bwrap does. */
function namespaces(network: Network, inside: Inside): string[] {
  return [
    ...['--unshare-user', '--unshare-ipc', '--unshare-pid', '--unshare-uts', '--unshare-cgroup-try'],
    ...(network === 'none' ? ['--unshare-net'] : []),
    ...['--uid', '1000', '--gid', '1000', '--hostname', 'sandbox', '--cap-drop', 'ALL'],
    // A warden makes one for each cell, in which no other can be made.
    ...(inside === 'warden' ? [] : ['--disable-userns']),
    ...['--die-with-parent', '--as-pid-1'],
    // Without it job control works; what it protects from, TIOCSTI, the filter denies.
    ...(inside === 'terminal' ? [] : ['--new-session']),
  ];
}

function environment(env: Readonly<Record<string, string>>): string[] {
  return ['--clearenv', ...Object.entries(env).flatMap(([name, value]) => ['--setenv', name, value])];
}

function system(network: Network): string[] {
  const links = ['bin', 'sbin', 'lib', 'lib64'].flatMap((name) => ['--symlink', `usr/${name}`, `/${name}`]);
  const resolver = network === 'host' ? ETC_NETWORK : [];
  const files = [...ETC, ...resolver].flatMap((name) => ['--ro-bind-try', `/etc/${name}`, `/etc/${name}`]);
  return ['--ro-bind', '/usr', '/usr', ...links, '--dir', '/etc', ...files];
}

/** The host's users and names are none of a payload's business. */
function etc(): string[] {
  return (['passwd', 'group', 'hosts'] as const).flatMap((name) => [
    '--ro-bind-data',
    String(FDS[name]),
    `/etc/${name}`,
  ]);
}
