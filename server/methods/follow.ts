// Who is told of a command: the connection that drives its slot gets exec.output and exec.exit, and after a resume the new one does.
// A connection that is slow, or holds a command back, slows its own commands' pipes; nothing is dropped.
import type { ExecExit, ExecResult } from '../../protocol/exec.ts';
import type { KeptOutput, StreamName, Subscription } from '../keeper/keeper.ts';
import { leftOut, textOf, wholeCharacters } from '../keeper/output.ts';
import type { Command } from '../slot/command.ts';
import type { Lease } from '../slot/lease.ts';
import type { Peer } from './context.ts';

type Offsets = Readonly<Record<StreamName, number>>;

/** After a piece as large as this the event loop goes round before the next one: others have their turn between any two. */
const TURN_CHARS = 16 * 1024;
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const FROM_START: Offsets = { stdout: 0, stderr: 0 };

export class Followers {
  readonly #sandboxed: boolean;
  readonly #open = new WeakMap<Peer, Map<string, Following>>();
  /** Who was last told of a command. */
  readonly #last = new WeakMap<Command, Peer>();
  /** Commands whose end was sent to who took the lease over. */
  readonly #toldTaker = new WeakSet<Command>();

  constructor(sandboxed: boolean) {
    this.#sandboxed = sandboxed;
  }

  /** Tells the peer that has asked for a command of all of it, unless it was told since it resumed: of one that a gateway before this one started. */
  begin(peer: Peer, command: Command): void {
    if (this.#last.get(command) !== peer) this.#follow(peer, command);
  }

  /** Tells this peer what the command prints from these offsets on, and its end. */
  #follow(peer: Peer, command: Command, from: Offsets = FROM_START): void {
    this.#last.set(command, peer);
    const open = this.#openOf(peer);
    const cutters = { stdout: new TextCutter(command.encoding), stderr: new TextCutter(command.encoding) };
    const send = async (stream: StreamName, piece: Piece | null): Promise<void> => {
      if (piece === null) return;
      await peer.notify('exec.output', { process: command.id, stream, ...piece });
      if (piece.data.length >= TURN_CHARS) await nextTurn();
    };
    if (command.stream) {
      const hold = new Hold();
      const chunk = async (stream: StreamName, data: Buffer, offset: number): Promise<void> => {
        await send(stream, cutters[stream].cut(data, offset));
        await hold.over;
      };
      open.set(command.id, { subscription: command.process.subscribe({ chunk }, from), hold });
    }
    void command.process.ended.then(async () => {
      open.delete(command.id);
      if (this.#open.get(peer) !== open) return;
      // Who takes over hears of the owner's commands, which the owner is still to be told of.
      if (peer.lease?.takenOver) this.#toldTaker.add(command);
      else peer.lease?.commands.noteTold(command);
      for (const stream of ['stdout', 'stderr'] as const) await send(stream, cutters[stream].rest());
      if (command.notified) await peer.notify('exec.exit', exitOf(command, this.#sandboxed));
    });
  }

  /** After a resume: what still runs, what ended while nobody listened, and what the client names. */
  resume(peer: Peer, lease: Lease, received: Readonly<Record<string, Offsets>>): void {
    for (const command of lease.commands.all()) {
      const named = Object.hasOwn(received, command.id);
      if (!command.notified && !command.stream) continue;
      const wasTold = command.told || (lease.takenOver && this.#toldTaker.has(command));
      if (wasTold && !named) continue;
      this.#follow(peer, command, named ? received[command.id] : FROM_START);
    }
  }

  /** Sends this peer no more of what the command prints until it wants it again. */
  hold(peer: Peer, { id }: Command, isOn: boolean): void {
    this.#open.get(peer)?.get(id)?.hold.set(isOn);
  }

  /** Tells this peer nothing more: it has given its slot back. */
  leave(peer: Peer): void {
    const open = this.#open.get(peer);
    this.#open.delete(peer);
    for (const { subscription } of open?.values() ?? []) subscription.close();
  }

  #openOf(peer: Peer): Map<string, Following> {
    const known = this.#open.get(peer);
    if (known !== undefined) return known;
    const open = new Map<string, Following>();
    this.#open.set(peer, open);
    peer.onClose(() => {
      this.#open.delete(peer);
      for (const { subscription } of open.values()) subscription.close();
    });
    return open;
  }
}

/** What one peer is sent of one command. */
interface Following {
  readonly subscription: Subscription;
  readonly hold: Hold;
}

/** Whether somebody wants nothing more for now. */
class Hold {
  /** Resolves when more is wanted. */
  over: Promise<void> | null = null;
  #end: () => void = () => undefined;

  set(isOn: boolean): void {
    if (!isOn) {
      this.over = null;
      this.#end();
    } else {
      this.over ??= new Promise((resolve) => {
        this.#end = resolve;
      });
    }
  }
}

interface Piece {
  readonly data: string;
  /** Bytes of the stream before data. */
  readonly offset: number;
  readonly encoding?: 'base64';
}

/** Cuts a byte stream into pieces of whole characters; offsets stay exact. */
class TextCutter {
  readonly #encoding: 'utf8' | 'base64';
  #rest: Buffer = Buffer.alloc(0);
  #end = 0;

  constructor(encoding: 'utf8' | 'base64') {
    this.#encoding = encoding;
  }

  cut(data: Buffer, offset: number): Piece | null {
    this.#end = offset + data.length;
    if (this.#encoding === 'base64') return { data: data.toString('base64'), offset, encoding: 'base64' };
    const bytes = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
    const whole = wholeCharacters(bytes);
    this.#rest = Buffer.from(bytes.subarray(whole));
    return whole === 0 ? null : { data: bytes.toString('utf8', 0, whole), offset: this.#end - bytes.length };
  }

  /** A character that was never finished. */
  rest(): Piece | null {
    if (this.#rest.length === 0) return null;
    const data = this.#rest.toString('utf8');
    const offset = this.#end - this.#rest.length;
    this.#rest = Buffer.alloc(0);
    return { data, offset };
  }
}

type Running = Omit<ExecResult, 'outcome' | 'stdout' | 'stderr'> & { outcome: ExecResult['outcome'] | 'running' };

/** How a command stands, without its output. */
export function standing(command: Command, sandboxed: boolean): Running {
  const { process } = command;
  const { end } = process;
  const stdout = process.output('stdout');
  const stderr = process.output('stderr');
  const truncated = leftOut(stdout) > 0 || leftOut(stderr) > 0;
  const limit = end?.limit ?? (truncated ? 'output' : undefined);
  return {
    process: command.id,
    outcome: end?.outcome ?? 'running',
    exitCode: end?.exitCode ?? null,
    signal: end?.signal ?? null,
    stdoutBytes: stdout.total,
    stderrBytes: stderr.total,
    truncated,
    durationMs: end?.durationMs ?? process.elapsedMs(),
    sandboxed,
    network: command.network,
    ...(end?.timedOutBy === undefined ? {} : { timedOutBy: end.timedOutBy }),
    ...(limit === undefined ? {} : { limit }),
  };
}

export function exitOf(command: Command, sandboxed: boolean): ExecExit {
  return { ...standing(command, sandboxed), outcome: command.process.end?.outcome ?? 'lost' };
}

/** A command with what is kept of its output; what was left out is named in the text. */
export function withOutput(command: Command, encoding: 'utf8' | 'base64'): { stdout: string; stderr: string } {
  return {
    stdout: keptText(command.process.output('stdout'), encoding),
    stderr: keptText(command.process.output('stderr'), encoding),
  };
}

function keptText(output: KeptOutput, encoding: 'utf8' | 'base64'): string {
  return encoding === 'utf8' ? textOf(output) : Buffer.concat([output.head, output.tail]).toString('base64');
}
