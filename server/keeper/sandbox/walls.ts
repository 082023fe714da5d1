// What stands around one runner, whatever it is made of: the streams to it, and the trusted word of its end. It never says what a payload can write.
import type { ChildProcess } from 'node:child_process';
import type { Duplex, Readable, Writable } from 'node:stream';
import { statOf, tryKill } from '../foreground.ts';
import { FDS } from './args.ts';
import type { Cgroup } from './cgroup.ts';
import { parseStatus } from './status.ts';

export interface WallsEnd {
  /** Of the first process: 128 + n for a signal; null when nobody could tell. */
  readonly exitCode: number | null;
  /** Why nothing was started at all. */
  readonly error: Error | null;
}

export interface Walls {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** To the runner and from it. */
  readonly control: Duplex;
  /** Resolves when everything in them is dead and all streams were read to their end. */
  readonly closed: Promise<WallsEnd>;
  /** Everything in them is dead, as far as was told. */
  readonly ended: boolean;
  /** The first process in them lives, as far as the kernel has told. */
  readonly alive: boolean;
  /** Puts the first process into its group, before it has started anything; null when it goes there by itself. */
  readonly join: ((group: Cgroup) => Promise<void>) | null;
  /** Ends everything in them. */
  destroy(): void;
}

/** Every entry of stdio is a pipe, which is a duplex socket in Node; the types know of five. */
export function pipeAt(child: ChildProcess, fd: number): Duplex {
  return (child.stdio as readonly unknown[])[fd] as Duplex;
}

/**
 * SIGKILL to the first process: the kernel takes all others with it before bwrap ends. As long as bwrap has not told which it is, to bwrap's process group,
 * where it is too: it waits for a word of bwrap then, and for ever when that dies alone.
 */
export function destroyWalls(child: ChildProcess, first: number | null): void {
  if (child.pid === undefined) return;
  if (first === null || !tryKill(first, 'SIGKILL')) tryKill(-child.pid, 'SIGKILL');
  // Somebody on the host may have stopped bwrap, which is to tell of the end.
  else child.kill('SIGCONT');
}

/** Of a process of our own, the leader of its process group: bwrap, or under --sandbox none the runner itself. */
export class ProcessWalls implements Walls {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly control: Duplex;
  readonly closed: Promise<WallsEnd>;
  ended = false;
  readonly #child: ChildProcess;
  readonly #isBwrap: boolean;
  /** Resolves when the first process is known. */
  readonly #named: Promise<void>;
  #statusText = '';

  constructor(child: ChildProcess, isBwrap: boolean) {
    this.#child = child;
    this.#isBwrap = isBwrap;
    this.stdin = pipeAt(child, 0);
    this.stdout = pipeAt(child, 1);
    this.stderr = pipeAt(child, 2);
    this.control = pipeAt(child, FDS.control);
    for (const stream of child.stdio) stream?.on('error', () => {});
    this.#named = isBwrap ? this.#readStatus() : Promise.resolve();
    let error: Error | null = null;
    child.once('error', (cause) => (error = cause));
    child.once('exit', () => (this.ended = true));
    this.closed = new Promise((resolve) =>
      child.once('close', () => resolve({ exitCode: parseStatus(this.#statusText).exitCode, error })),
    );
  }

  get alive(): boolean {
    const pid = this.ended ? null : this.firstPid;
    return pid !== null && statOf(pid)?.alive === true;
  }

  /** As the host sees it; null as long as bwrap has not told. */
  get firstPid(): number | null {
    return this.#isBwrap ? parseStatus(this.#statusText).childPid : (this.#child.pid ?? null);
  }

  readonly join = async (group: Cgroup): Promise<void> => {
    await this.#named;
    const pid = this.firstPid;
    if (pid !== null) await group.add(pid);
  };

  destroy(): void {
    if (!this.ended) destroyWalls(this.#child, parseStatus(this.#statusText).childPid);
  }

  #readStatus(): Promise<void> {
    return new Promise((resolve) => {
      pipeAt(this.#child, FDS.status).on('data', (data: Buffer) => {
        this.#statusText += data.toString('latin1');
        if (this.firstPid !== null) resolve();
      });
    });
  }
}
