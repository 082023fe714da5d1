// A slot's standing sandbox: one bwrap as for a command, whose first process makes a cell for each of a few commands, with walls of its own. The streams of
// each were made with it and are used once. It never learns what runs in its cells, and when it dies they die.
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Duplex, Readable, Writable } from 'node:stream';
import { childrenOf, statOf, tryKill } from '../foreground.ts';
import { effectiveNetwork, FDS } from './args.ts';
import type { Cgroup } from './cgroup.ts';
import { maskedHere, refuseRoot, spawnBwrap, started } from './launch.ts';
import { hardLimits, innerProcesses } from './limit.ts';
import { explain, hiddenPaths } from './reason.ts';
import { BOOT, runnerFrame } from './runner.ts';
import { Sandbox, type SandboxSpec } from './sandbox.ts';
import { seccompFilter } from './seccomp.ts';
import { parseStatus, type SandboxStatus } from './status.ts';
import { destroyWalls, pipeAt, type Walls, type WallsEnd } from './walls.ts';
import { CELL_PIPES, cellEndOf, wardenBegin, wardenKill, wardenProgram } from './warden-program.ts';

/** Descriptors from here on are of groups and cells. */
const FROM = 10;
/** One starts in some 15 ms; on a host so loaded that it takes this long no command would get anywhere. */
const START_MS = 20_000;
/** A warden kills a cell in well below a millisecond. One that does not was stopped by somebody on the host. */
const KILL_MS = 1_000;
/** Of bwrap, or of a warden that could not start: a line or two. */
const MAX_COMPLAINT_CHARS = 4096;
/** A word is `end 9999 65535` at most. */
const MAX_LINE_CHARS = 64;

export interface WardenSpec extends Omit<SandboxSpec, 'group'> {
  /** Its own group, and that of each cell: as many cells as there are of these. Empty without groups. */
  readonly groups: readonly Cgroup[];
  /** How many cells it can make. */
  readonly cells: number;
}

export class Warden {
  /** Resolves when it waits for orders. Rejects with a reason when it did not come up. */
  readonly ready: Promise<void>;
  /** Resolves when everything in it is dead. */
  readonly closed: Promise<void>;
  readonly #spec: WardenSpec;
  readonly #child: ChildProcess;
  readonly #control: Duplex;
  readonly #running = new Map<number, CellWalls>();
  #statusText = '';
  #status: SandboxStatus = { childPid: null, exitCode: null };
  #complaint = '';
  #line = '';
  #next = 0;
  #isUp = false;
  #ended = false;
  #retired = false;
  #markReady: () => void = () => {};

  /** Throws SANDBOX_UNAVAILABLE when the host is out of processes or descriptors. */
  constructor(spec: WardenSpec) {
    refuseRoot(spec.place);
    this.#spec = spec;
    this.#child = started(() => spawnWarden(spec));
    const child = this.#child;
    this.#control = pipeAt(child, FDS.control);
    for (const stream of child.stdio) stream?.on('error', () => {});
    let error: Error | null = null;
    child.once('error', (cause) => (error = cause));
    pipeAt(child, FDS.status).on('data', (data: Buffer) => {
      this.#statusText += data.toString('latin1');
      this.#status = parseStatus(this.#statusText);
      this.#comeUp();
    });
    child.stderr?.on(
      'data',
      (data: Buffer) => (this.#complaint = (this.#complaint + data.toString('utf8')).slice(0, MAX_COMPLAINT_CHARS)),
    );
    this.#control.on('data', (data: Buffer) => this.#take(data.toString('latin1')));
    child.once('exit', () => this.#end());
    this.closed = new Promise((resolve) => child.once('close', () => resolve()));
    this.ready = new Promise((resolve, reject) => {
      this.#markReady = resolve;
      void this.closed.then(() => reject(new Error(this.#why(error))));
    });
    const tooLong = setTimeout(() => this.#destroy(), START_MS);
    this.ready.catch(() => {}).finally(() => clearTimeout(tooLong));
    this.#control.write(runnerFrame(wardenProgram(programOptions(spec))));
  }

  /** How many cells it could make at first. */
  get cells(): number {
    return this.#spec.cells;
  }

  /** How many cells it can still make. */
  get left(): number {
    return this.#ended || this.#retired ? 0 : this.#spec.cells - this.#next;
  }

  get canBegin(): boolean {
    return this.left > 0 && this.alive;
  }

  /** As alive, and none of the cells that came up has died without that being told yet. */
  #isWhole(): boolean {
    const { childPid } = this.#status;
    const there = this.alive && childPid !== null ? childrenOf(childPid) : [];
    return there === null || there.length >= [...this.#running.values()].filter(({ isUp }) => isUp).length;
  }

  /** It lives, as far as the kernel has told. */
  get alive(): boolean {
    const { childPid } = this.#status;
    return !this.#ended && childPid !== null && statOf(childPid)?.alive === true;
  }

  /** The sandbox of one more command; it comes up by itself. */
  cell(): { readonly sandbox: Sandbox; readonly group: Cgroup | undefined } {
    const index = this.#next++;
    const { policy, place, network, groups } = this.#spec;
    const group = groups[index + 1];
    const at = cellFrom(index, joinsOf(this.#spec));
    const pipes = Array.from({ length: CELL_PIPES }, (_, n) => pipeAt(this.#child, at + n));
    const walls = new CellWalls(pipes, { isWhole: () => this.#isWhole(), kill: () => this.#kill(index) });
    this.#running.set(index, walls);
    this.#control.write(wardenBegin(index));
    return { sandbox: new Sandbox({ policy, place, network, group }, walls), group };
  }

  /** Groups that none of its cells was given, and its own; when it has ended. */
  unused(): readonly Cgroup[] {
    return this.#spec.groups.filter((_, index) => index === 0 || index > this.#next);
  }

  /** It makes no cell any more, and ends with its last one. Resolves when it has ended, or still has one. */
  async retire(): Promise<void> {
    this.#retired = true;
    this.#leave();
    if (this.#running.size === 0) await this.closed;
  }

  #leave(): void {
    if (!this.#retired || this.#ended || this.#running.size > 0) return;
    this.#control.end();
    this.#wake();
    setTimeout(() => this.#destroy(), KILL_MS).unref();
  }

  #kill(index: number): void {
    if (this.#ended || !this.#running.has(index)) return;
    this.#control.write(wardenKill(index));
    this.#wake();
    setTimeout(() => this.#running.has(index) && this.#destroy(), KILL_MS).unref();
  }

  /** Somebody on the host may have stopped it, or bwrap, which is to tell of its end. */
  #wake(): void {
    const { childPid } = this.#status;
    if (childPid !== null) tryKill(childPid, 'SIGCONT');
    this.#child.kill('SIGCONT');
  }

  /** The kernel takes all cells with it. */
  #destroy(): void {
    if (!this.#ended) destroyWalls(this.#child, this.#status.childPid);
  }

  #take(text: string): void {
    const lines = (this.#line + text).split('\n');
    this.#line = (lines.pop() ?? '').slice(0, MAX_LINE_CHARS);
    for (const line of lines) {
      const end = cellEndOf(line);
      if (line === 'ready') this.#isUp = true;
      else if (end !== null) this.#cellEnded(end.cell, exitCodeOf(end.waitStatus));
    }
    this.#comeUp();
  }

  /** Its own word and bwrap's arrive on different sockets, in any order. */
  #comeUp(): void {
    if (this.#isUp && this.#status.childPid !== null) this.#markReady();
  }

  #cellEnded(index: number, exitCode: number | null): void {
    const cell = this.#running.get(index);
    this.#running.delete(index);
    cell?.end(exitCode);
    this.#leave();
  }

  /** With it all its cells have ended, by a kill. */
  #end(): void {
    this.#ended = true;
    const { exitCode } = this.#status;
    for (const index of [...this.#running.keys()]) this.#cellEnded(index, exitCode);
  }

  #why(error: Error | null): string {
    const { policy, place } = this.#spec;
    const { reason, remedy } = explain(error?.message ?? this.#complaint, hiddenPaths(policy, place));
    return `${reason}. ${remedy}`;
  }
}

/** Of a cell, which its warden tells the end of. */
class CellWalls implements Walls {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly control: Duplex;
  readonly closed: Promise<WallsEnd>;
  /** Before it reads its order. */
  readonly join = null;
  ended = false;
  /** Its runner has spoken. */
  isUp = false;
  readonly #warden: { isWhole(): boolean; kill(): void };
  #told: (exitCode: number | null) => void = () => {};

  constructor(pipes: readonly Duplex[], warden: { isWhole(): boolean; kill(): void }) {
    const [stdin, stdout, stderr, control] = pipes as [Duplex, Duplex, Duplex, Duplex];
    this.stdin = stdin;
    this.stdout = stdout;
    this.stderr = stderr;
    this.control = control;
    this.#warden = warden;
    control.once('data', () => (this.isUp = true));
    const told = new Promise<number | null>((resolve) => (this.#told = resolve));
    const read = [stdout, stderr, control].map((pipe) => new Promise<void>((resolve) => pipe.once('close', resolve)));
    this.closed = Promise.all([told, ...read]).then(([exitCode]) => ({ exitCode, error: null }));
  }

  get alive(): boolean {
    return !this.ended && this.#warden.isWhole();
  }

  destroy(): void {
    if (!this.ended) this.#warden.kill();
  }

  /** Everything in it is dead; what it has said is still to be read. */
  end(exitCode: number | null): void {
    this.ended = true;
    this.stdin.destroy();
    for (const pipe of [this.stdout, this.stderr, this.control]) pipe.resume();
    this.#told(exitCode);
  }
}

/** Of all its groups alike. */
const joinsOf = ({ groups }: WardenSpec): number => groups[0]?.joins.length ?? 0;

const cellFrom = (index: number, joins: number): number => FROM + joins + index * (CELL_PIPES + joins);

/** As bwrap would tell it. */
const exitCodeOf = (waitStatus: number): number =>
  (waitStatus & 0x7f) === 0 ? waitStatus >> 8 : 128 + (waitStatus & 0x7f);

function programOptions(spec: WardenSpec): Parameters<typeof wardenProgram>[0] {
  const { policy, network, groups } = spec;
  const { limits } = policy;
  return {
    from: FROM,
    joins: joinsOf(spec),
    filter: seccompFilter(),
    masked: maskedHere(),
    limits,
    processes: innerProcesses(limits, { grouped: groups.length > 0, hard: hardLimits() }),
    ownNetwork: effectiveNetwork(policy, network) === 'none',
  };
}

/** The files of the groups are opened here, so that a cell needs no right to write them. */
function spawnWarden(spec: WardenSpec): ChildProcess {
  const files: number[] = [];
  const opened = (group: Cgroup | undefined): number[] =>
    (group?.joins ?? []).map((file) => {
      const fd = openSync(file, 'w');
      files.push(fd);
      return fd;
    });
  try {
    const pipes = Array.from({ length: CELL_PIPES }, () => 'pipe' as const);
    const cells = Array.from({ length: spec.cells }, (_, index) => [...pipes, ...opened(spec.groups[index + 1])]);
    const own = opened(spec.groups[0]);
    const stdio = ['ignore', 'ignore', ...Array.from({ length: FROM - 2 }, () => 'pipe' as const), ...own];
    return spawnBwrap(spec, {
      inside: 'warden',
      boot: BOOT,
      stdio: [...stdio, ...cells.flat()] as ('pipe' | 'ignore' | number)[],
    });
  } finally {
    for (const fd of files) closeSync(fd);
  }
}
