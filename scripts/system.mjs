// System packages: finds which commands are missing and installs their Debian packages, or says exactly what to run. Touches nothing but apt.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { SetupError, say } from './say.mjs';

/** Command → Debian package. What a gateway runs slots with. */
export const forSlots = {
  bwrap: 'bubblewrap',
  perl: 'perl-base',
  setpriv: 'util-linux',
  prlimit: 'util-linux',
  bash: 'bash',
};

/** What the tests drive inside slots, or check results with. A path stands for itself. */
export const forTests = {
  ...forSlots,
  asciinema: 'asciinema',
  chromium: 'chromium',
  faketime: 'faketime',
  git: 'git',
  htop: 'htop',
  less: 'less',
  ps: 'procps',
  '/usr/bin/python3': 'python3',
  vim: 'vim',
  '/etc/services': 'netbase',
  '/usr/lib/python3/dist-packages/aiohttp': 'python3-aiohttp',
};

/** An ordinary user's PATH may lack the sbin directories. */
const searched = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];

/** Installs what is missing of these. Throws SetupError with the command to run when it can't. */
export function ensureCommands(wanted) {
  const missing = Object.keys(wanted).filter((command) => findCommand(command) === null);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((command) => wanted[command]))].sort();
  if (findCommand('apt-get') === null) {
    throw new SetupError(
      `these commands are missing: ${missing.join(', ')}. Install them with the package manager of this system.`,
    );
  }
  const asRoot = rootPrefix();
  if (asRoot === null) throw new SetupError(byHand(packages, 'system packages are missing and need root'));
  say(`installing system packages: ${packages.join(' ')}`);
  install(asRoot, packages);
  const still = missing.filter((command) => findCommand(command) === null);
  if (still.length > 0)
    throw new SetupError(`installed ${packages.join(' ')}, but there still is no ${still.join(', ')}.`);
}

/** Where it is, or null. */
export function findCommand(command) {
  if (isAbsolute(command)) return existsSync(command) ? command : null;
  const found = searched.filter(Boolean).map((directory) => join(directory, command));
  return found.find(isExecutable) ?? null;
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A sandbox can't be tested where the host refuses user namespaces; says so once instead of in every test. */
export function ensureNamespaces() {
  const inner = ['bwrap', '--unshare-user', '--unshare-pid', '--ro-bind', '/', '/', '--proc', '/proc', 'true'];
  const nobody = '65534';
  const command =
    process.getuid() === 0 ? ['setpriv', '--reuid', nobody, '--regid', nobody, '--clear-groups', ...inner] : inner;
  const tried = spawnSync(command[0], command.slice(1), { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
  if (tried.status === 0) return;
  throw new SetupError(`this host lets bubblewrap make no sandbox: ${tried.stderr.trim()}\n${namespaceRemedy()}`);
}

function namespaceRemedy() {
  const restricted = sysctl('kernel/apparmor_restrict_unprivileged_userns') === '1';
  if (restricted) return 'Run: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0';
  if (sysctl('user/max_user_namespaces') === '0') return 'Run: sudo sysctl -w user.max_user_namespaces=15000';
  if (sysctl('kernel/unprivileged_userns_clone') === '0')
    return 'Run: sudo sysctl -w kernel.unprivileged_userns_clone=1';
  return 'In a container it needs more than the default profile: user namespaces, mounts and an unmasked /proc.';
}

function sysctl(name) {
  try {
    return readFileSync(`/proc/sys/${name}`, 'utf8').trim();
  } catch {
    return null;
  }
}

/** What to put before a command so that root runs it: nothing, sudo, or null when neither goes. */
function rootPrefix() {
  if (process.getuid() === 0) return [];
  if (findCommand('sudo') === null) return null;
  if (spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0) return ['sudo', '-n'];
  return process.stdin.isTTY ? ['sudo'] : null;
}

function install(asRoot, packages) {
  const updated = aptGet(asRoot, ['update']);
  const installed = aptGet(asRoot, ['install', '--yes', '--no-install-recommends', ...packages]);
  if (installed.status === 0) return;
  // An update that failed for one foreign source does no harm as long as the packages are found.
  const output = [updated, installed].filter(({ status }) => status !== 0).map(({ output }) => output);
  throw new SetupError(byHand(packages, `apt-get failed:\n${output.join('\n').trim()}\nsystem packages are missing`));
}

function aptGet(asRoot, args) {
  // Other programs hold dpkg's lock for a while, at boot above all.
  const options = ['-q', '-o', 'DPkg::Lock::Timeout=300'];
  const line = [...asRoot, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...options, ...args];
  // sudo may ask for a password: it does so on the terminal, not by these pipes.
  const stdin = asRoot[1] === undefined && asRoot[0] === 'sudo' ? 'inherit' : 'ignore';
  const { status, stdout, stderr } = spawnSync(line[0], line.slice(1), {
    encoding: 'utf8',
    stdio: [stdin, 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  });
  return { status, output: `${stdout ?? ''}${stderr ?? ''}`.trim() };
}

function byHand(packages, why) {
  const sudo = findCommand('sudo') === null ? '' : 'sudo ';
  const lines = `${sudo}apt-get update && ${sudo}apt-get install --yes --no-install-recommends ${packages.join(' ')}`;
  return `${why}. Run this${sudo === '' ? ' as root' : ''} and try again:\n  ${lines}`;
}
