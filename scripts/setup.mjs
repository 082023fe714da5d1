// Sets a clone up, as far as it is not: Node's version, system packages, npm packages, the build. Built-in modules only, since nothing
// else may be there yet. Writes into node_modules/ and dist/ alone, and does nothing when all is as it should be.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SetupError, say } from './say.mjs';
import { ensureCommands } from './system.mjs';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const at = (...path) => join(root, ...path);

/** The folders that make the program, and what decides how they are compiled. */
const builtFolders = ['protocol', 'client', 'cli', 'server', 'web-viewer'];
const buildSettings = [
  'tsconfig.json',
  'tsconfig.build.json',
  'package.json',
  'package-lock.json',
  join('scripts', 'build.mjs'),
];

/** What was made before, each with the file that holds the fingerprint of what it was made from. */
const steps = [
  { stamp: at('node_modules', '.slotcast-lock'), fingerprint: packagesFingerprint, make: installPackages },
  { stamp: at('dist', '.built'), fingerprint: sourcesFingerprint, make: build },
];

/** Makes the clone ready to run; `commands` maps the programs it needs to their Debian packages. Throws SetupError. */
export function setUp(commands = {}) {
  ensureNode();
  ensureCommands(commands);
  if (steps.every(isDone)) return;
  ensureWritable();
  withLock(() => {
    for (const step of steps) if (!isDone(step)) perform(step);
  });
}

function ensureNode() {
  const wanted = /(\d+)\.(\d+)/.exec(JSON.parse(readFileSync(at('package.json'), 'utf8')).engines.node);
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > Number(wanted[1]) || (major === Number(wanted[1]) && minor >= Number(wanted[2]))) return;
  throw new SetupError(
    `this needs Node ${wanted[0]} or newer, and this is ${process.versions.node}. See https://nodejs.org/`,
  );
}

const isDone = ({ stamp, fingerprint }) => existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint();

/** The stamp goes first and comes last, so that a set-up that was interrupted counts as none. */
function perform({ stamp, fingerprint, make }) {
  const print = fingerprint();
  rmSync(stamp, { force: true });
  make();
  writeFileSync(stamp, print);
}

function packagesFingerprint() {
  // Some packages are binaries of one platform: a clone that moved to another machine needs others.
  return hashOf([at('package-lock.json')], `${process.platform} ${process.arch}`);
}

function sourcesFingerprint() {
  const sources = builtFolders.flatMap((folder) =>
    readdirSync(at(folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.([cm]?tsx?|css|html|svg|json)$/.test(name))
      .sort()
      .map((name) => at(folder, name)),
  );
  return hashOf([...sources, ...buildSettings.map((name) => at(name))]);
}

function hashOf(files, salt = '') {
  const hash = createHash('sha256').update(salt);
  for (const file of files) hash.update(`\0${file.slice(root.length)}\0`).update(readFileSync(file));
  return hash.digest('hex');
}

function installPackages() {
  say('installing npm packages');
  // No package here needs to run a script of its own, so none may.
  const flags = [
    '--include=dev',
    '--include=optional',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--no-update-notifier',
  ];
  run([...npm(), 'ci', ...flags, ...cacheFlags(), '--loglevel=error'], 'npm ci failed');
}

/** The npm that runs this script, or the one on the PATH. */
function npm() {
  const running = process.env['npm_execpath'] ?? '';
  return basename(running) === 'npm-cli.js' ? [process.execPath, running] : ['npm'];
}

/** npm's cache is in the home directory; a user without one gets it here. */
function cacheFlags() {
  const cache = process.env['npm_config_cache'] ?? join(process.env['HOME'] ?? '/', '.npm');
  return isWritable(cache) ? [] : ['--cache', at('dist', '.npm-cache')];
}

function build() {
  say('building');
  run([process.execPath, at('scripts', 'build.mjs')], 'the build failed');
}

function run([program, ...args], complaint) {
  const { status, error, stdout, stderr } = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status === 0) return;
  const output = error === undefined ? `${stdout}${stderr}`.trim() : error.message;
  throw new SetupError(`${complaint}:\n${output}`);
}

function ensureWritable() {
  const closed = [root, at('node_modules'), at('dist')].find((path) => existsSync(path) && !isWritable(path));
  if (closed === undefined) return;
  throw new SetupError(
    `${closed} can't be written by this user, and packages or the build in it are missing or old. ` +
      `Run it once as the owner of the clone, or take the clone over: sudo chown -R "$(id -u)" ${root}`,
  );
}

/** Whether something can be made at this path: it, or the nearest directory above it that exists, is open to this user. */
function isWritable(path) {
  if (!existsSync(path) && dirname(path) !== path) return isWritable(dirname(path));
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** One set-up of a clone at a time. The lock is the kernel's, on a descriptor of this process, so that none outlives its holder. */
function withLock(work) {
  mkdirSync(at('dist'), { recursive: true });
  const lock = openSync(at('dist', '.setup-lock'), 'w');
  const flock = (flag) => spawnSync('flock', [flag, '3'], { stdio: ['ignore', 'ignore', 'inherit', lock] }).status;
  try {
    if (flock('--nonblock') === 1) {
      say('waiting for another set-up of this clone to end');
      flock('--exclusive');
    }
    work();
  } finally {
    closeSync(lock);
  }
}
