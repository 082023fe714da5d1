// The commands of one lease by name (p1, p2, …): what runs, what ended, and a marker in the cast for each.
// It never forgets a running command; ended ones go, oldest first, when they keep too much memory.
import { endLabel, startLabel } from '../../protocol/command-mark.ts';
import type { ProcessInfo } from '../../protocol/exec.ts';
import { Fault } from '../../protocol/fault.ts';
import type { FrameLog } from '../keeper/frame-log.ts';
import type { KeptProcess, ProcessEnd, ProcessOrder } from '../keeper/keeper.ts';

/** Ended commands that exec.wait and exec.list still know. */
const MAX_ENDED = 500;
/** Output kept of all ended commands of a lease. */
const MAX_ENDED_BYTES = 64 * 1024 * 1024;
/** What a list shows of a command. */
const SHOWN_CHARS = 1000;

export interface Command {
  readonly id: string;
  /** The command line, for people. */
  readonly shown: string;
  readonly process: KeptProcess;
  readonly network: 'none' | 'host';
  /** How its end is told: a result of exec.run, or exec.exit. */
  readonly notified: boolean;
  readonly stream: boolean;
  readonly encoding: 'utf8' | 'base64';
}

export interface CommandStart {
  readonly order: ProcessOrder;
  readonly network: 'none' | 'host';
  readonly notified: boolean;
  readonly stream: boolean;
  readonly encoding: 'utf8' | 'base64';
}

export interface CommandTableOptions {
  readonly log: FrameLog;
  readonly maxRunning: number;
  readonly start: (order: ProcessOrder, network: 'none' | 'host') => Promise<KeptProcess>;
  /** Called when a command starts or ends. */
  readonly changed: () => void;
}

export class CommandTable {
  readonly #commands = new Map<string, Command>();
  readonly #options: CommandTableOptions;
  #last = 0;
  /** What has no process yet, and may get one. */
  readonly #starting = new Set<Promise<Command>>();
  #closed = false;

  constructor(options: CommandTableOptions) {
    this.#options = options;
  }

  /** How many run now. */
  get running(): number {
    let running = this.#starting.size;
    for (const command of this.#commands.values()) if (command.process.end === null) running++;
    return running;
  }

  /** The newest command that runs now, for people; null when none does. */
  get newest(): string | null {
    let newest: string | null = null;
    for (const command of this.#commands.values()) if (command.process.end === null) newest = command.shown;
    return newest;
  }

  async start(spec: CommandStart): Promise<Command> {
    if (this.running >= this.#options.maxRunning) {
      throw new Fault(
        'TOO_MANY_PROCESSES',
        `${this.running} commands run in this slot, the most that it may. Wait for one to end, or stop one by exec.signal.`,
      );
    }
    if (this.#closed) throw new Fault('LEASE_LOST');
    const starting = this.#start(spec);
    this.#starting.add(starting);
    try {
      return await starting;
    } finally {
      this.#starting.delete(starting);
    }
  }

  get(id: string): Command {
    const command = this.#commands.get(id);
    if (command === undefined) {
      throw new Fault(
        'PROCESS_NOT_FOUND',
        `There is no process ${JSON.stringify(id.slice(0, 64))} in this slot. exec.list names them.`,
      );
    }
    return command;
  }

  all(): readonly Command[] {
    return [...this.#commands.values()];
  }

  list(): ProcessInfo[] {
    return this.all().map((command) => {
      const { process } = command;
      return {
        process: command.id,
        command: command.shown,
        outcome: process.end?.outcome ?? 'running',
        exitCode: process.end?.exitCode ?? null,
        signal: process.end?.signal ?? null,
        startedAt: process.startedAt,
        durationMs: process.end?.durationMs ?? process.elapsedMs(),
        stdoutBytes: process.output('stdout').total,
        stderrBytes: process.output('stderr').total,
      };
    });
  }

  /** Stops every command, also those that are just being started; resolves when all are dead. */
  async stopAll(): Promise<void> {
    await Promise.allSettled(this.#starting);
    await Promise.all(this.all().map((command) => command.process.kill()));
  }

  /** As stopAll, and none is started any more. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.stopAll();
  }

  async #start(spec: CommandStart): Promise<Command> {
    const id = `p${++this.#last}`;
    const shown = shownCommand(spec.order);
    this.#mark(startLabel(id, shown));
    const process = await this.#options.start(spec.order, spec.network).catch((error: unknown) => {
      this.#mark(endLabel(id, { outcome: 'lost', exitCode: null, signal: null, durationMs: 0 }));
      throw error;
    });
    const { network, notified, stream, encoding } = spec;
    const command: Command = { id, shown, process, network, notified, stream, encoding };
    this.#commands.set(id, command);
    void process.ended.then((end) => this.#ended(command, end));
    this.#options.changed();
    return command;
  }

  #ended(command: Command, end: ProcessEnd): void {
    this.#mark(endLabel(command.id, end));
    this.#forgetOldest();
    this.#options.changed();
  }

  #mark(label: string): void {
    if (!this.#options.log.closed) this.#options.log.append('m', label);
  }

  #forgetOldest(): void {
    const ended = this.all().filter((command) => command.process.end !== null);
    let bytes = ended.reduce((sum, command) => sum + keptBytes(command), 0);
    let count = ended.length;
    for (const command of ended) {
      if (count <= MAX_ENDED && bytes <= MAX_ENDED_BYTES) return;
      if (count === 1) return;
      this.#commands.delete(command.id);
      bytes -= keptBytes(command);
      count--;
    }
  }
}

function keptBytes(command: Command): number {
  const stdout = command.process.output('stdout');
  const stderr = command.process.output('stderr');
  return stdout.head.length + stdout.tail.length + stderr.head.length + stderr.tail.length;
}

function shownCommand(order: ProcessOrder): string {
  const text = 'command' in order.run ? order.run.command : order.run.argv.map(quoted).join(' ');
  return text.slice(0, SHOWN_CHARS);
}

const quoted = (argument: string): string =>
  /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
