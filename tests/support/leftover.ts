// Fails the run when a test leaves a process or a temporary file behind. Gives the run a temporary directory of its own to tell them by;
// never ends or removes anything that is not of this run.
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a sandbox needs to be torn down after its owner was told to end. */
const PATIENCE_MS = 5000;

export default function setup(): () => Promise<void> {
  const outside = process.env['TMPDIR'];
  const directory = mkdtempSync(join(tmpdir(), 'slotcast-run-'));
  // Like /tmp: slots and other users work below it.
  chmodSync(directory, 0o1777);
  process.env['TMPDIR'] = directory;
  return async () => {
    const found = await remains(directory);
    if (outside === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = outside;
    for (const { pid } of found.processes) process.kill(pid, 'SIGKILL');
    rmSync(directory, { recursive: true, force: true });
    if (found.processes.length + found.files.length === 0) return;
    process.exitCode = 1;
    throw new Error(describe(found));
  };
}

interface Remains {
  readonly processes: readonly { readonly pid: number; readonly command: string }[];
  readonly files: readonly string[];
}

async function remains(directory: string): Promise<Remains> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const found = { processes: processesOf(directory), files: filesOf(directory) };
    if (found.processes.length + found.files.length === 0 || performance.now() > deadline) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const filesOf = (directory: string): string[] => readdirSync(directory).filter((name) => name.startsWith('slotcast-'));

/** Processes that were started in or with something of the directory: sandboxes have it among their mounts, others in a variable or argument. */
function processesOf(directory: string): Remains['processes'] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && !isWorker(pid) && mentions(pid, directory))
    .map((pid) => ({ pid, command: read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim() }));
}

/** The runner's own children are being ended by it: they have the directory as their TMPDIR. */
function isWorker(pid: number): boolean {
  const parent = /\) \S (\d+)/.exec(read(`/proc/${pid}/stat`))?.[1];
  return Number(parent) === process.pid;
}

function mentions(pid: number, directory: string): boolean {
  // A file system that a test mounts stands in the table of every process of this machine, unless that has mounts of its own, as a sandbox has.
  const names = mountsOf(pid) === mountsOf(process.pid) ? ['environ', 'cmdline'] : ['environ', 'cmdline', 'mountinfo'];
  const files = names.map((name) => `/proc/${pid}/${name}`);
  return files.some((file) => read(file).includes(directory)) || workingDirectory(pid).startsWith(directory);
}

/** Empty for what is gone or another user's. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

const mountsOf = (pid: number): string => linkOf(`/proc/${pid}/ns/mnt`);
const workingDirectory = (pid: number): string => linkOf(`/proc/${pid}/cwd`);

/** Empty as above. */
function linkOf(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}

function describe({ processes, files }: Remains): string {
  const lines = [
    ...processes.map(({ pid, command }) => `process ${pid}: ${command}`),
    ...files.map((name) => `temporary file: ${name}`),
  ];
  return `tests left something behind:\n  ${lines.join('\n  ')}`;
}
