// A container engine for scripts/docker.mjs: the one that is there, or on Debian under root one of its own, in a network namespace and with
// data in a directory of its own, so that the host's network and services stay as they are. Never touches an engine that it did not start.
import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { arch, homedir } from 'node:os';
import { join } from 'node:path';
import { SetupError, say } from './say.mjs';
import { ensureCommands } from './system.mjs';

/** The bases of every image here. */
export const NODE_IMAGE = 'node:24-bookworm-slim';
/** A start takes a second or two, on a busy machine many. */
const START_MS = 60_000;
/** An image registry that is not there often means waiting for a connection. */
const PULL_MS = 60_000;

/** What may be kept for the next run. Not below /tmp, where somebody else could have put something first. */
export function cacheDir(name, env = process.env) {
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'slotcast', name);
}

/** An engine, or the reason why there can be none here. */
export function findEngine(env = process.env) {
  if (succeeds('docker', ['compose', 'version']) && succeeds('docker', ['info'])) return new Engine();
  if (process.getuid() !== 0) return 'there is no docker with compose, and installing one needs root';
  if (!existsSync('/etc/debian_version')) return 'there is no docker with compose, and this system is no Debian';
  return new OwnEngine(env['SLOTCAST_DOCKER_DIR'] ?? cacheDir('docker'));
}

/** The one that is there. */
class Engine {
  /** What is put before a command that is to reach a published port. */
  network = [];
  env = { ...process.env };

  prepareBuild() {}
  prepareRun() {}
  close() {}

  docker(args, options = {}) {
    return command('docker', args, { env: this.env, ...options });
  }

  compose(args, options = {}) {
    return this.docker(['compose', ...args], options);
  }
}

/** Its data stays in the directory, for the next run. */
class OwnEngine extends Engine {
  #dir;
  #compose;
  /** By this one; another run's is left alone. */
  #started = false;

  constructor(dir) {
    super();
    this.#dir = dir;
    // In builds the network is the machine's: there is no bridge then.
    this.env = { ...this.env, DOCKER_HOST: `unix://${this.#at('run', 'docker.sock')}`, BUILD_NETWORK: 'host' };
  }

  #at(...path) {
    return join(this.#dir, ...path);
  }

  get #pidFile() {
    return this.#at('run', 'docker.pid');
  }

  /** Builds reach the package registries by the machine's own network. */
  async prepareBuild() {
    mkdirSync(this.#at('run'), { recursive: true });
    if (this.#isAlive())
      throw new SetupError(
        `the engine of another run, process ${this.#pid()}, uses ${this.#dir}. Wait for it, end it if that run is gone, or set SLOTCAST_DOCKER_DIR.`,
      );
    ensureCommands({ dockerd: 'docker.io', debootstrap: 'debootstrap', iptables: 'iptables', unshare: 'util-linux' });
    this.#compose = this.#composeProgram();
    // Networks of a run that was cut off: the engine would make their bridges here, in the machine's own network.
    rmSync(this.#at('data', 'network'), { recursive: true, force: true });
    const alone = ['--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false', '--ip-masq=false'];
    await this.#start(['dockerd', ...this.#flags(), ...alone]);
    if (succeeds('docker', ['image', 'inspect', NODE_IMAGE], this.env)) return;
    if (!succeeds('timeout', [String(PULL_MS / 1000), 'docker', 'pull', NODE_IMAGE], this.env)) this.#makeBase();
  }

  /** The same data, with a bridge and published ports that nobody outside of the namespace sees. */
  async prepareRun() {
    await this.close();
    const script = 'mount --make-rprivate / && ip link set lo up && exec dockerd "$@"';
    await this.#start(['unshare', '--net', '--mount', '--', 'bash', '-c', script, 'dockerd', ...this.#flags()]);
    this.network = ['nsenter', '--target', this.#pid(), '--net', '--'];
  }

  async close() {
    if (!this.#started) return;
    const pid = this.#pid();
    if (pid === '' || !this.#isAlive()) return;
    process.kill(Number(pid), 'SIGTERM');
    await until('the engine has ended', () => !this.#isAlive());
  }

  compose(args, options = {}) {
    return command(this.#compose, args, { env: this.env, ...options });
  }

  #flags() {
    const host = ['--host', this.env.DOCKER_HOST, '--pidfile', this.#pidFile];
    return [...host, '--data-root', this.#at('data'), '--exec-root', this.#at('exec')];
  }

  #pid() {
    return contentOf(this.#pidFile).trim();
  }

  #isAlive() {
    const pid = this.#pid();
    return pid !== '' && contentOf(`/proc/${pid}/comm`).startsWith('dockerd');
  }

  async #start([program, ...args]) {
    const log = openSync(this.#at('dockerd.log'), 'w');
    this.#started = true;
    spawn(program, args, { detached: true, stdio: ['ignore', log, log] }).unref();
    await until('the engine answers', () => succeeds('docker', ['info'], this.env)).catch((error) => {
      throw new SetupError(`${error.message}:\n${readFileSync(this.#at('dockerd.log'), 'utf8').slice(-2000)}`);
    });
  }

  /** Compose 2.15 or newer, which knows systempaths. Debian 12 has 1.29: there the program of Debian 13 is unpacked, and not installed. */
  #composeProgram() {
    if (succeeds('docker', ['compose', 'version'])) {
      const wrapper = this.#at('compose');
      writeFileSync(wrapper, '#!/bin/sh\nexec docker compose "$@"\n', { mode: 0o755 });
      return wrapper;
    }
    const root = this.#at('compose-root');
    const program = join(root, 'usr/libexec/docker/cli-plugins/docker-compose');
    if (!existsSync(program)) {
      say('fetching compose from Debian 13');
      this.#unpack('docker-compose/trixie', root);
    }
    return program;
  }

  /** A package of another release, by lists and a cache apart from the machine's. */
  #unpack(name, root) {
    const apt = this.#at('apt');
    mkdirSync(join(apt, 'lists', 'partial'), { recursive: true });
    mkdirSync(join(apt, 'cache', 'archives', 'partial'), { recursive: true });
    const key = '/usr/share/keyrings/debian-archive-keyring.gpg';
    writeFileSync(join(apt, 'sources.list'), `deb [signed-by=${key}] ${debianMirror()} trixie main\n`);
    const settings = [
      `Dir::Etc::sourcelist=${join(apt, 'sources.list')}`,
      'Dir::Etc::sourceparts=/dev/null',
      `Dir::State::lists=${join(apt, 'lists')}`,
      `Dir::Cache=${join(apt, 'cache')}`,
      'APT::Sandbox::User=root',
    ].flatMap((setting) => ['-o', setting]);
    command('apt-get', ['-qq', ...settings, 'update']);
    command('apt-get', ['-qq', ...settings, 'download', name], { cwd: apt });
    const file = readdirSync(apt).find((entry) => entry.endsWith('.deb'));
    command('dpkg-deb', ['--extract', join(apt, file), root]);
  }

  /** A stand-in for the official image, where no registry of images can be reached: Debian's packages, and Node as npm has it. */
  #makeBase() {
    say(`no registry of images can be reached: making a stand-in for ${NODE_IMAGE}`);
    const base = this.#at('base');
    const root = join(base, 'root');
    if (!existsSync(join(root, 'usr'))) {
      command('debootstrap', ['--variant=minbase', '--include=ca-certificates', 'bookworm', root, debianMirror()]);
    }
    const unpacked = (name, version) => {
      const [file] = command('npm', ['pack', '--silent', `${name}@${version}`], { cwd: base })
        .trim()
        .split('\n')
        .slice(-1);
      mkdirSync(join(base, name), { recursive: true });
      command('tar', [
        '--extract',
        '--file',
        join(base, file),
        '--directory',
        join(base, name),
        '--strip-components=1',
      ]);
      return join(base, name);
    };
    const node = unpacked(`node-linux-${arch() === 'arm64' ? 'arm64' : 'x64'}`, '24');
    cpSync(join(node, 'bin', 'node'), join(root, 'usr/local/bin/node'));
    const npm = join(root, 'usr/local/lib/node_modules/npm');
    cpSync(unpacked('npm', '11'), npm, { recursive: true });
    for (const name of ['npm', 'npx']) {
      const link = join(root, 'usr/local/bin', name);
      if (!existsSync(link)) symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, link);
    }
    // Authorities that this machine trusts beside the usual ones, for builds here.
    cpSync('/etc/ssl/certs/ca-certificates.crt', join(root, 'etc/ssl/certs/ca-certificates.crt'));
    if (!/^node:/m.test(readFileSync(join(root, 'etc/passwd'), 'utf8'))) {
      command('chroot', [root, 'groupadd', '--gid', '1000', 'node']);
      command('chroot', [
        root,
        'useradd',
        '--uid',
        '1000',
        '--gid',
        'node',
        '--create-home',
        '--shell',
        '/bin/bash',
        'node',
      ]);
    }
    const changes = ['ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt', 'CMD ["node"]'];
    const tar = join(base, 'image.tar');
    command('tar', ['--create', '--file', tar, '--directory', root, '.']);
    const flags = changes.flatMap((change) => ['--change', change]);
    this.docker(['import', ...flags, tar, NODE_IMAGE]);
  }
}

/** Where this machine gets Debian from. */
function debianMirror() {
  const targets = command('apt-get', ['indextargets', '--format', '$(REPO_URI) $(LABEL)', 'Created-By: Packages']);
  const line = targets.split('\n').find((target) => / Debian$/.test(target) && !/security/.test(target));
  if (line === undefined) throw new SetupError('apt-get has no source of Debian packages.');
  return line.split(' ')[0];
}

/** Empty when it is not there, or goes just now. */
function contentOf(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return '';
    throw error;
  }
}

const succeeds = (program, args, env = process.env) => spawnSync(program, args, { stdio: 'ignore', env }).status === 0;

/** What it prints; throws SetupError with all that it said when it fails. `shows`: to the terminal instead. */
export function command(program, args, { shows = false, ...options } = {}) {
  const stdio = shows ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'];
  const result = spawnSync(program, args, { encoding: 'utf8', stdio, maxBuffer: 64 * 1024 * 1024, ...options });
  if (result.status === 0) return result.stdout ?? '';
  const said = result.error?.message ?? `${result.stdout ?? ''}${result.stderr ?? ''}`.trim();
  throw new SetupError(`${program} ${args.join(' ')} failed with ${result.status ?? result.signal}:\n${said}`);
}

/** Polls until it is so; throws SetupError when that takes too long. */
export async function until(what, holds) {
  const deadline = performance.now() + START_MS;
  while (!holds()) {
    if (performance.now() > deadline) throw new SetupError(`not within ${START_MS / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
