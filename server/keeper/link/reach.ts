// Reaches the keeper of a data directory: the one that lives there, or a new one. It ends none: what lives may hold everything that matters.
import { spawn } from 'node:child_process';
import { closeSync, constants, existsSync, openSync, renameSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { holderOf } from '../pid-file.ts';
import { ROOT } from '../root.ts';
import { Channel } from './channel.ts';
import type { Greeting } from './contract.ts';
import { LINK_VERSION } from './wire.ts';

/** As it was built. */
const PROGRAM = join(ROOT, 'dist/server/keeper/main.js');
/** A keeper says hello as soon as it is reached; one that is stopped, or starved, does not. */
const GREETING_MS = 5_000;
/** Node starts in a tenth of a second; on a host under load in some. */
const START_MS = 20_000;
/** A keeper that does not listen any more seals its recordings. */
const GOING_MS = 10_000;
const LOOK_MS = 10;
/** What a keeper needs of the environment: nothing of the gateway's secrets. */
const ENVIRONMENT = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'LC_ALL', 'TZ'] as const;
/** A process that spawns is forked in proportion to its memory, so it keeps its young generation small; see thrift.ts. */
const NODE_FLAGS = ['--max-semi-space-size=1', '--optimize-for-size', '--expose-gc'] as const;
/**
 * What is freed goes back to the system. But not at once what a read of 64 KiB takes: to have each of them given by the system and taken back was half of
 * what a command's output cost.
 */
const ALLOCATOR = { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '1048576', MALLOC_MMAP_THRESHOLD_: '262144' };

/** There is no keeper to work with; says what to do. */
export class KeeperError extends Error {}

/** It hung up before it said anything: it was just ending, or is no keeper. */
export class KeeperGone extends KeeperError {}

export interface Reached {
  readonly socket: Socket;
  /** Whether it was started just now. */
  readonly isNew: boolean;
}

export const socketFile = 'keeper.sock';
export const pidFile = 'keeper.pid';

/** Throws KeeperError. */
export async function reachKeeper(dataDir: string, version: string): Promise<Reached> {
  const found = await open(dataDir);
  return { socket: found ?? (await started(dataDir, version)), isNew: found === null };
}

/** Throws KeeperError when the keeper of the data directory is none to work with. Starts none, and takes it from nobody. */
export async function checkKeeper(dataDir: string): Promise<void> {
  const socket = await open(dataDir);
  if (socket === null) return;
  const greeted = new Promise<Greeting | 'closed'>((resolve) => {
    const channel = new Channel(socket, { handlers: { greeting: resolve }, failed: () => resolve('closed') });
    void channel.closed.then(() => resolve('closed'));
  });
  try {
    await accepted(greeted, dataDir);
  } catch (error) {
    if (!(error instanceof KeeperGone)) throw error;
  } finally {
    socket.destroy();
  }
}

/** What the keeper says first, if it is one to work with; null stands for silence. Throws KeeperError. */
export async function accepted(greeted: Promise<Greeting | 'closed'>, dataDir: string): Promise<Greeting> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<'silent'>((resolve) => {
    timer = setTimeout(() => resolve('silent'), GREETING_MS);
  });
  const greeting = await Promise.race([greeted, silence]);
  clearTimeout(timer);
  if (greeting === 'closed' || greeting === 'silent') {
    const pid = holderOf(join(dataDir, pidFile));
    if (pid === null || greeting === 'closed') {
      const Kind = greeting === 'closed' ? KeeperGone : KeeperError;
      throw new Kind(
        `what listens at ${socketFile} in ${dataDir} does not speak as a keeper does. End it, or choose another --data-dir.`,
      );
    }
    throw new KeeperError(
      `the keeper of ${dataDir} (process ${pid}) does not answer. If it was stopped, let it go on by kill -CONT ${pid}; ` +
        `or end it, and everything in its slots, by kill -9 ${pid}.`,
    );
  }
  const { link, version, pid } = greeting;
  if (link === LINK_VERSION) return greeting;
  throw new KeeperError(
    `the keeper of ${dataDir} (process ${pid}) is of slotcast ${version} and speaks version ${link} of the link; this one speaks ${LINK_VERSION}. ` +
      `Go on with slotcast ${version}, or end the keeper and everything in its slots by kill ${pid}.`,
  );
}

/** null when nobody listens there. */
async function open(dataDir: string): Promise<Socket | null> {
  // The path of a socket has at most 107 bytes; that of a data directory may have more.
  const directory = openSync(dataDir, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return await new Promise((resolve, reject) => {
      const socket = connect(`/proc/self/fd/${directory}/${socketFile}`);
      socket.once('connect', () => resolve(socket));
      socket.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(null);
        else reject(new KeeperError(`the keeper of ${dataDir} cannot be reached: ${error.code ?? error.message}`));
      });
    });
  } finally {
    closeSync(directory);
  }
}

/** The process, if it is still there after a while: one that has just ended everything is about to go. */
async function lasting(holder: () => number | null): Promise<number | null> {
  for (const endMs = performance.now() + GOING_MS; performance.now() < endMs; await delay(LOOK_MS)) {
    if (holder() === null) return null;
  }
  return holder();
}

/** Starts a keeper, of a session of its own: what ends the gateway does not end it. */
async function started(dataDir: string, version: string): Promise<Socket> {
  const living = await lasting(() => holderOf(join(dataDir, pidFile)));
  if (living !== null) {
    throw new KeeperError(
      `the keeper of ${dataDir} (process ${living}) lives but does not listen. End it, and everything in its slots, by kill -9 ${living}.`,
    );
  }
  const said = join(dataDir, 'keeper.log');
  // What one that has died said last.
  if (existsSync(said)) renameSync(said, `${said}.1`);
  const log = openSync(said, 'w', 0o600);
  const env = Object.fromEntries(
    ENVIRONMENT.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
  const child = spawn(process.execPath, [...NODE_FLAGS, PROGRAM, dataDir, version], {
    cwd: '/',
    env: { ...env, ...ALLOCATOR },
    detached: true,
    stdio: ['ignore', 'pipe', log],
  });
  closeSync(log);
  try {
    await new Promise<void>((resolve, reject) => {
      const why = (text: string): void =>
        reject(new KeeperError(`the keeper could not be started: ${text}. See keeper.log in ${dataDir}.`));
      const timer = setTimeout(() => why(`it is not ready after ${START_MS / 1000} s`), START_MS);
      child.once('error', (error) => why(error.message));
      child.once('exit', (code, signal) => why(`it ended with ${signal ?? code}`));
      child.stdout?.once('data', () => resolve());
      child.once('close', () => clearTimeout(timer));
      child.stdout?.once('data', () => clearTimeout(timer));
    });
  } finally {
    child.stdout?.destroy();
    child.unref();
  }
  const socket = await open(dataDir);
  if (socket === null) throw new KeeperError(`the keeper that was started in ${dataDir} is not there any more.`);
  return socket;
}
