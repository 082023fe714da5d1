// What the keeper keeps of one lease for whatever gateway comes next: its log, its notes, and its commands, also those that have ended.
import type { FrameLog } from '../frame-log.ts';
import type { KeptOutput, KeptProcess, KeptTerminal, LogSpec, ProcessEnd, SlotPlace, Totals } from '../keeper.ts';
import type { KeptStreams, WireLease, WireProcess, WireTerminal } from './contract.ts';

const NOTHING = Buffer.alloc(0);

/** One command. What it printed is kept after its end too, until a gateway forgets it or others need the memory. */
export class KeptCommand {
  readonly handle: number;
  /** As in its marker. */
  readonly name: string;
  readonly startedAt: number;
  end: ProcessEnd | null = null;
  /** null when it has ended: a sandbox that is gone is not held on to. */
  process: KeptProcess | null;
  #output: KeptStreams | null = null;

  constructor(parts: { readonly handle: number; readonly name: string; readonly process: KeptProcess }) {
    this.handle = parts.handle;
    this.name = parts.name;
    this.process = parts.process;
    this.startedAt = parts.process.startedAt;
  }

  get output(): KeptStreams | null {
    return this.#output ?? (this.process === null ? null : outputOf(this.process));
  }

  async totals(): Promise<Totals> {
    const { stdout, stderr } = this.#output ?? {};
    return (await this.process?.totals()) ?? { stdout: stdout?.total ?? 0, stderr: stderr?.total ?? 0 };
  }

  /** Bytes in memory after its end. */
  get bytes(): number {
    const { stdout, stderr } = this.#output ?? {};
    return [stdout, stderr].reduce((sum, kept) => sum + (kept?.head.length ?? 0) + (kept?.tail.length ?? 0), 0);
  }

  settle(end: ProcessEnd): void {
    if (this.process === null) return;
    this.#output = outputOf(this.process);
    this.end = end;
    this.process = null;
  }

  /** Only the counts stay: how it ended is never forgotten for want of memory. */
  shrink(): void {
    if (this.#output === null) return;
    const { stdout, stderr } = this.#output;
    this.#output = { stdout: onlyTotal(stdout), stderr: onlyTotal(stderr) };
  }

  wire(): WireProcess {
    const { handle, startedAt, end, process } = this;
    const elapsedMs = end?.durationMs ?? process?.elapsedMs() ?? 0;
    return { handle, startedAt, elapsedMs, end, output: end === null ? null : this.output };
  }
}

interface LastTerminal {
  readonly handle: number;
  readonly kept: KeptTerminal;
  readonly end: WireTerminal['end'];
}

export class KeptCast {
  readonly spec: LogSpec;
  readonly place: SlotPlace;
  readonly log: FrameLog;
  readonly notes: Map<string, string>;
  /** In the order of their start. */
  readonly commands = new Set<KeptCommand>();
  /** The last one; null before the first. */
  terminal: LastTerminal | null = null;

  constructor(parts: Pick<KeptCast, 'spec' | 'place' | 'log' | 'notes'>) {
    this.spec = parts.spec;
    this.place = parts.place;
    this.log = parts.log;
    this.notes = parts.notes;
  }

  wire(): WireLease {
    const { spec, place, log, notes, commands, terminal } = this;
    return {
      spec,
      place,
      timeMs: log.timeMs(),
      lastSeq: log.lastSeq,
      notes: [...notes],
      processes: [...commands].map((command) => [command.name, command.wire()] as const),
      terminal: terminal && wireTerminal(terminal),
    };
  }
}

export const wireTerminal = ({ handle, kept, end }: LastTerminal): WireTerminal => ({ handle, pids: kept.pids, end });

const outputOf = (process: KeptProcess): KeptStreams => ({
  stdout: process.output('stdout'),
  stderr: process.output('stderr'),
});

const onlyTotal = ({ total }: Pick<KeptOutput, 'total'>) => ({ head: NOTHING, tail: NOTHING, total });
