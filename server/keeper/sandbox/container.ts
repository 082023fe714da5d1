// Which settings a container lacks for sandboxes, each found by trying it, or where an earlier one forbids that, by what the kernel tells.
// Says nothing outside of a container, and changes nothing.
import { execFile } from 'node:child_process';
import { constants, existsSync, readFileSync, readlinkSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Of util-linux, wherever the gateway looks for its own. */
const TOOLS = '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin';
/** Each try takes some ms; one that hangs is as good as refused. */
const TRY_MS = 5000;
/** The number that every kernel has given to the one it starts with. */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';

export interface MissingSetting {
  /** For `docker run`; empty for one of the host. */
  readonly flag: string;
  /** The same in a compose file, or the command on the host. */
  readonly compose: string;
  readonly why: string;
  /** Without it no sandbox starts; else one would, and the host is in danger. */
  readonly breaks: boolean;
}

/** What was found, before it is judged. */
export interface ContainerFacts {
  /** The host's root, not one that a user namespace maps to somebody. */
  readonly hostRoot: boolean;
  readonly tmpWritable: boolean;
  /** A filter of system calls is in force. */
  readonly filtered: boolean;
  /** As /proc/self/attr/current has it. */
  readonly label: string;
  /** Something covers parts of every /proc there is. */
  readonly procCovered: boolean;
  /** Sysctls by name; those that this kernel does not have are missing. */
  readonly sysctls: Readonly<Record<string, string>>;
  /** What works in a user namespace of an ordinary user. */
  readonly works: {
    readonly namespace: boolean;
    readonly mount: boolean;
    readonly pivot: boolean;
    readonly proc: boolean;
  };
}

/** Empty where sandboxes can be made, as far as it depends on the container; null outside of one. */
export async function missingSettings(): Promise<readonly MissingSetting[] | null> {
  const isMarked =
    ['/.dockerenv', '/run/.containerenv'].some((file) => existsSync(file)) ||
    process.env['KUBERNETES_SERVICE_HOST'] !== undefined;
  return isMarked && !isMachine(linkOf('/proc/self/ns/pid'), read('/proc/self/mountinfo'))
    ? judgeContainer(await look())
    : null;
}

/** A machine whose disk was made from an image of a container has the mark of one, and sees the processes of the kernel from a disk of its own. */
export function isMachine(pidNamespace: string, mountinfo: string): boolean {
  const root = mountinfo.split('\n').find((line) => line.split(' ')[4] === '/') ?? '';
  return pidNamespace === FIRST_PID_NAMESPACE && / - \S+ \/dev\//.test(root);
}

export function judgeContainer(facts: ContainerFacts): MissingSetting[] {
  const { hostRoot, tmpWritable, filtered, label, procCovered, works } = facts;
  const appArmored = / \((?:enforce|kill)\)$/.test(label);
  const labelled = /:container[a-z_]*_t:/.test(label);
  const missing: MissingSetting[] = [];
  const lacks = (flag: string, compose: string, why: string): number =>
    missing.push({ flag, compose, why, breaks: true });
  if (hostRoot) {
    const why = 'root of a container can write kernel settings of the host';
    missing.push({ flag: '--user 1000:1000', compose: 'user: "1000:1000"', why, breaks: false });
  }
  if (!tmpWritable) lacks('--tmpfs /tmp:size=64m,mode=1777', 'tmpfs: ["/tmp:size=64m,mode=1777"]', '/tmp is read-only');
  // Who may not make a namespace, mount in it, or change its root: by the filter, unless a policy of the kernel is known to forbid mounts.
  const forbidden = !works.namespace ? 'user namespaces are' : !works.mount ? 'mounts are' : 'pivot_root is';
  const byPolicy = works.namespace && !works.mount && (appArmored || labelled);
  const closed = hostSettings(facts);
  if (filtered && !works.pivot && !byPolicy && closed.length === 0) {
    const setting = (file: string): string => `seccomp=${file}deploy/seccomp-bwrap.json`;
    lacks(`--security-opt ${setting('')}`, securityOpt(setting('./')), `${forbidden} forbidden by the seccomp profile`);
  }
  if (appArmored && !works.mount) {
    const why = `mounts are forbidden by the AppArmor profile ${label.replace(/ .*/, '')}`;
    lacks('--security-opt apparmor=unconfined', securityOpt('apparmor=unconfined'), why);
  }
  if (labelled && !works.mount)
    lacks('--security-opt label=disable', securityOpt('label=disable'), 'mounts are forbidden by SELinux');
  if (procCovered && !works.proc) {
    const why = 'parts of /proc are covered, so that the kernel refuses a new one';
    lacks('--security-opt systempaths=unconfined', securityOpt('systempaths=unconfined'), why);
  }
  return [...missing, ...closed];
}

const securityOpt = (setting: string): string => `security_opt: ["${setting}"]`;

/** What no container's setting can open. */
function hostSettings({ works, sysctls }: ContainerFacts): MissingSetting[] {
  if (works.mount) return [];
  const wrong = [
    { name: 'kernel.unprivileged_userns_clone', closed: '0', open: '1' },
    { name: 'user.max_user_namespaces', closed: '0', open: '15000' },
    { name: 'kernel.apparmor_restrict_unprivileged_userns', closed: '1', open: '0' },
  ].filter(({ name, closed }) => sysctls[name] === closed);
  return wrong.map(({ name, closed, open }) => ({
    flag: '',
    compose: `sysctl -w ${name}=${open}`,
    why: `on the host ${name} is ${closed}`,
    breaks: true,
  }));
}

async function look(): Promise<ContainerFacts> {
  const status = read('/proc/self/status');
  const inside = ['--user', '--map-root-user', '--mount'];
  const pivot = 'mount -t tmpfs none /tmp && mkdir /tmp/old && exec pivot_root /tmp /tmp/old';
  const [tmpWritable, namespace, mount, pivoted, proc] = await Promise.all([
    access(tmpdir(), constants.W_OK).then(
      () => true,
      () => false,
    ),
    works('--user', 'true'),
    works(...inside, 'mount', '-t', 'tmpfs', 'none', '/tmp'),
    works(...inside, 'sh', '-c', pivot),
    works(...inside, '--pid', '--fork', '--mount-proc', 'true'),
  ]);
  return {
    hostRoot: process.getuid?.() === 0 && /^\s*0\s+0\s+4294967295\s*$/.test(read('/proc/self/uid_map')),
    tmpWritable,
    filtered: /^Seccomp:\s+2$/m.test(status),
    label: read('/proc/self/attr/current').replace(/\0/g, '').trim(),
    procCovered: isProcCovered(read('/proc/self/mountinfo')),
    sysctls: Object.fromEntries(
      ['kernel.unprivileged_userns_clone', 'user.max_user_namespaces', 'kernel.apparmor_restrict_unprivileged_userns']
        .map((name) => [name, read(`/proc/sys/${name.replaceAll('.', '/')}`).trim()])
        .filter(([, value]) => value !== ''),
    ),
    works: { namespace, mount, pivot: pivoted, proc },
  };
}

/** The kernel mounts a /proc in a user namespace only where one is to be seen that nothing lies upon. */
export function isProcCovered(mountinfo: string): boolean {
  const mounts = mountinfo.split('\n').flatMap((line) => {
    const [, , , root, place] = line.split(' ');
    return place === undefined ? [] : [{ place, isProc: root === '/' && / - proc /.test(line) }];
  });
  const procs = mounts.filter(({ isProc }) => isProc);
  return procs.every((proc) => mounts.some(({ place }) => place.startsWith(`${proc.place}/`)));
}

/** Whether `unshare` does this. */
async function works(...args: readonly string[]): Promise<boolean> {
  try {
    await run('unshare', args, { timeout: TRY_MS, env: { PATH: TOOLS, LC_ALL: 'C' } });
    return true;
  } catch {
    return false;
  }
}

/** Empty for what this kernel does not have. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function linkOf(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}
