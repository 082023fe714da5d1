// The commands of one lease by name (p1, p2, …): what runs and what ended, also under a gateway before this one.
// It never forgets a running command; ended ones go, oldest first, when they keep too much memory.
import { z } from 'zod';
import type { ProcessInfo } from '../../protocol/exec.ts';
import { Fault } from '../../protocol/fault.ts';
import type { KeptProcess, Notes, ProcessMarker, ProcessOrder } from '../keeper/keeper.ts';
import { shellWord } from '../terminal/shell-word.ts';
import { type Gone, GoneProcess, gone, goneOf } from './gone-process.ts';
import type { Keyed } from './key-table.ts';

/** Ended commands that exec.wait and exec.list still know. */
const MAX_ENDED = 500;
/** Output kept of all ended commands of a lease. */
const MAX_ENDED_BYTES = 64 * 1024 * 1024;
/** What a list shows of a command. */
const SHOWN_CHARS = 1000;

const note = z.object({
  shown: z.string(),
  network: z.enum(['none', 'host']),
  /** How its end is told: a result of exec.run, or exec.exit. */
  notified: z.boolean(),
  stream: z.boolean(),
  encoding: z.enum(['utf8', 'base64']),
  /** The call that it is the work of, if that had a key. */
  keyed: z.object({ key: z.string(), print: z.string() }).nullable(),
  /** Its end was sent to the owner of the lease. */
  told: z.boolean(),
  /** Of one whose keeper has died. */
  gone: gone.nullable(),
});

/** What the next gateway has to know of it. */
type CommandNote = z.infer<typeof note>;

/** `shown` is the command line, for people. */
export interface Command extends Readonly<Omit<CommandNote, 'told' | 'gone'>> {
  readonly id: string;
  readonly process: KeptProcess;
  /** Set by noteTold. */
  told: boolean;
  /** Set by inherit. */
  gone: Gone | null;
}

export interface CommandStart extends Pick<CommandNote, 'network' | 'notified' | 'stream' | 'encoding'> {
  readonly order: ProcessOrder;
  readonly keyed: Keyed | null;
}

export interface CommandTableOptions {
  readonly maxRunning: number;
  readonly start: (
    order: ProcessOrder,
    how: { network: 'none' | 'host'; marker: Omit<ProcessMarker, 'cast'> },
  ) => Promise<KeptProcess>;
  /** Keeps what the next gateway has to know of a command; null forgets it. */
  readonly note: (id: string, text: string | null) => void;
  /** Called when a command starts or ends. */
  readonly changed: () => void;
}

export class CommandTable {
  readonly #commands = new Map<string, Command>();
  /** Of those whose calls had a key. */
  readonly #keyed = new Map<string, Command>();
  /** The newest last. */
  readonly #running = new Set<Command>();
  /** What each one keeps of its output, the longest ended first: there are many, and no command is to wait until they are counted. */
  readonly #ended = new Map<Command, number>();
  #endedBytes = 0;
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
    return this.#starting.size + this.#running.size;
  }

  /** The newest command that runs now, for people; null when none does. */
  get newest(): string | null {
    return [...this.#running].at(-1)?.shown ?? null;
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

  /** Goes on with what a gateway before this one has started. */
  adopt(processes: ReadonlyMap<string, KeptProcess>, notes: Notes): void {
    for (const [id, text] of notes) {
      if (!/^p\d+$/.test(id)) continue;
      const about = note.safeParse(parsed(text));
      if (!about.success) continue;
      const { gone } = about.data;
      const process = processes.get(id) ?? (gone && new GoneProcess(gone));
      this.#last = Math.max(this.#last, Number(id.slice(1)));
      if (process !== null) this.#add({ id, process, ...about.data });
    }
  }

  /** Keeps the commands of another table, which have all ended: the keeper that ran them has died. None of them is ever begun again. */
  inherit(former: CommandTable): void {
    for (const command of former.all()) {
      command.gone = goneOf(command.process);
      this.#know(command);
      this.#note(command);
    }
    this.#last = former.#last;
  }

  /** The calls with keys whose work is here. */
  formerKeys(): Keyed[] {
    return this.all().flatMap(({ keyed }) => (keyed === null ? [] : [keyed]));
  }

  /** The command that a call with this key has started, perhaps under a gateway before this one. */
  keyed(keyed: Keyed): Command | undefined {
    return this.#keyed.get(keyName(keyed));
  }

  /** The owner of the lease has been sent its end. */
  noteTold(command: Command): void {
    if (command.told) return;
    command.told = true;
    this.#note(command);
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

  async list(): Promise<ProcessInfo[]> {
    const listed = this.all().map(async (command): Promise<ProcessInfo> => {
      const { process } = command;
      const { stdout, stderr } = await process.totals();
      return {
        process: command.id,
        command: command.shown,
        outcome: process.end?.outcome ?? 'running',
        exitCode: process.end?.exitCode ?? null,
        signal: process.end?.signal ?? null,
        startedAt: process.startedAt,
        durationMs: process.end?.durationMs ?? process.elapsedMs(),
        stdoutBytes: stdout,
        stderrBytes: stderr,
      };
    });
    return await Promise.all(listed);
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

  async #start({ order, ...about }: CommandStart): Promise<Command> {
    const id = `p${++this.#last}`;
    const shown = shownCommand(order);
    const command = { id, shown, told: false, gone: null, ...about };
    this.#note(command);
    const marker = { process: id, command: shown };
    const process = await this.#options.start(order, { network: about.network, marker }).catch((error: unknown) => {
      this.#options.note(id, null);
      throw error;
    });
    return this.#add({ ...command, process });
  }

  #add(command: Command): Command {
    this.#know(command);
    this.#options.changed();
    return command;
  }

  #know(command: Command): void {
    this.#commands.set(command.id, command);
    if (command.keyed !== null) this.#keyed.set(keyName(command.keyed), command);
    if (command.process.end !== null) {
      this.#settle(command);
      return;
    }
    this.#running.add(command);
    void command.process.ended.then(() => {
      this.#running.delete(command);
      this.#settle(command);
      this.#options.changed();
    });
  }

  #settle(command: Command): void {
    const bytes = keptBytes(command);
    this.#ended.set(command, bytes);
    this.#endedBytes += bytes;
    this.#forgetOldest();
  }

  #note(command: CommandNote & { readonly id: string }): void {
    const { id, shown, network, notified, stream, encoding, keyed, told, gone } = command;
    const about: CommandNote = { shown, network, notified, stream, encoding, keyed, told, gone };
    this.#options.note(id, JSON.stringify(about));
  }

  #forgetOldest(): void {
    for (const [command, bytes] of this.#ended) {
      if (this.#ended.size <= MAX_ENDED && this.#endedBytes <= MAX_ENDED_BYTES) return;
      if (this.#ended.size === 1) return;
      this.#ended.delete(command);
      this.#endedBytes -= bytes;
      this.#commands.delete(command.id);
      if (command.keyed !== null) this.#keyed.delete(keyName(command.keyed));
      this.#options.note(command.id, null);
      command.process.forget();
    }
  }
}

const keyName = ({ key, print }: Pick<Keyed, 'key' | 'print'>): string => `${print} ${key}`;

/** undefined when it is no JSON. */
export function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
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

const quoted = (argument: string): string => (/^[\w@%+=:,./-]+$/.test(argument) ? argument : shellWord(argument));
