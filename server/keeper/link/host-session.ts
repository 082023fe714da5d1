// One gateway at the keeper's end of the link: answers what it asks and tells what happens. It owns nothing but what the gateway listens to.
import type { Socket } from 'node:net';
import { Fault } from '../../../protocol/fault.ts';
import type { KeptProcess, KeptTerminal, ProcessSpec, RecordingState, TerminalSpec } from '../keeper.ts';
import type { LocalKeeper } from '../local-keeper.ts';
import { Channel } from './channel.ts';
import type { Attached, Calls, KeeperSettings, News, WireProcess, WireTerminal, Words } from './contract.ts';
import { type KeptCast, type KeptCommand, wireTerminal } from './kept-cast.ts';
import { LogPump } from './log-pump.ts';
import { OutputPump } from './output-pump.ts';
import { bufferOf, LINK_VERSION } from './wire.ts';

/** What the keeper keeps for whatever gateway comes. */
export interface Host {
  readonly casts: ReadonlyMap<string, KeptCast>;
  change<T>(work: () => Promise<T>): Promise<T>;
  /** Makes this session the one that counts. */
  attach(session: HostSession, settings: KeeperSettings): Promise<{ keeper: LocalKeeper; attached: Attached }>;
  say(said: News['said']): void;
  /** The gateway is there, and has read what it was told before. */
  heard(): void;
  close(): Promise<void>;
  cast(id: string): KeptCast;
  command(handle: number): KeptCommand;
  terminal(handle: number): KeptTerminal | null;
  opened(parts: Pick<KeptCast, 'spec' | 'place' | 'log' | 'notes'>): void;
  forget(cast: string): void;
  started(cast: KeptCast, name: string, process: KeptProcess): KeptCommand;
  startedTerminal(cast: KeptCast, kept: KeptTerminal): number;
  forgetCommand(handle: number): void;
}

export interface HostSessionOptions {
  readonly host: Host;
  readonly socket: Socket;
  readonly version: string;
}

export class HostSession {
  readonly closed: Promise<void>;
  readonly #host: Host;
  readonly #channel: Channel;
  readonly #logs = new Map<string, LogPump>();
  readonly #outputs = new Map<number, OutputPump>();
  #keeper: LocalKeeper | null = null;

  constructor({ host, socket, version }: HostSessionOptions) {
    this.#host = host;
    const handlers = { ...this.#calls(), ...this.#words() };
    const failed = (error: unknown, name: string): void =>
      host.say({ message: `the gateway's ${name} failed`, detail: String((error as Error).stack ?? error) });
    this.#channel = new Channel(socket, { handlers, failed });
    this.#channel.onDrain(() => {
      for (const pump of this.#logs.values()) pump.pump();
    });
    this.closed = this.#channel.closed.then(() => {
      for (const pump of [...this.#logs.values(), ...this.#outputs.values()]) pump.close();
    });
    this.#tell('greeting', { link: LINK_VERSION, version, pid: process.pid });
  }

  say(said: News['said']): void {
    this.#tell('said', said);
  }

  /** Cuts it off; what it had said until now is done, or under way. */
  async leave(): Promise<void> {
    await this.#channel.caughtUp();
    this.#channel.destroy();
  }

  #calls(): { readonly [C in keyof Calls]: (params: Calls[C][0]) => Promise<Calls[C][1]> } {
    return {
      attach: (settings) => this.#attach(settings),
      preparePlace: ({ slot }) => this.#attached.preparePlace(slot),
      emptyPlace: async ({ place }) => done(await this.#attached.emptyPlace(place)),
      spaceLeft: ({ place, wantedBytes }) => this.#attached.spaceLeft(place, wantedBytes),
      openLog: (asked) => this.#host.change(() => this.#openLog(asked)),
      flushLog: async ({ cast }) => done(await this.#attached.flushLog(cast)),
      closeLog: ({ cast }) => this.#host.change(() => this.#closeLog(cast)),
      follow: (asked) => this.#follow(asked),
      startProcess: (spec) => this.#host.change(() => this.#startProcess(spec)),
      outputOf: async ({ process }) => this.#host.command(process).output,
      totalsOf: ({ process }) => this.#host.command(process).totals(),
      writeProcess: async ({ process, data }) =>
        (await this.#host.command(process).process?.write(bufferOf(data))) ?? false,
      closeInput: async ({ process }) => done(await this.#host.command(process).process?.closeInput()),
      signalProcess: async ({ process, name }) => (await this.#host.command(process).process?.signal(name)) ?? false,
      killProcess: async ({ process, limit }) => done(await this.#host.command(process).process?.kill(limit)),
      startTerminal: (spec) => this.#host.change(() => this.#startTerminal(spec)),
      writeTerminal: async ({ terminal, data }) => done(await this.#host.terminal(terminal)?.write(data)),
      writeTerminalUntil: async ({ terminal, data, until }) =>
        (await this.#host.terminal(terminal)?.writeUntil(data, until)) ?? null,
      struckTerminal: async ({ terminal }) => (await this.#host.terminal(terminal)?.struck()) ?? null,
      killTerminal: async ({ terminal, limit }) => done(await this.#host.terminal(terminal)?.kill(limit)),
      ping: async () => this.#ping(),
      close: async () => done(await this.#host.close()),
    };
  }

  #ping(): RecordingState {
    const recording = this.#attached.recording();
    this.#host.heard();
    return recording;
  }

  async #openLog({ spec, place, notes }: Calls['openLog'][0]): Promise<null> {
    const log = await this.#attached.openLog(spec);
    this.#host.opened({ spec, place, log, notes: new Map(notes) });
    this.#pump(spec.cast, 0);
    return null;
  }

  async #closeLog(cast: string): Promise<null> {
    await this.#attached.closeLog(cast);
    this.#host.forget(cast);
    return null;
  }

  async #startProcess(spec: ProcessSpec): Promise<WireProcess> {
    const { order, marker } = spec;
    if (marker === undefined) throw new Error('a command without a name');
    const cast = this.#host.cast(marker.cast);
    const input = order.input === null ? null : bufferOf(order.input);
    const process = await this.#attached.startProcess({ ...spec, order: { ...order, input } });
    const command = this.#host.started(cast, marker.process, process);
    this.#awaitEnd(command, process);
    return command.wire();
  }

  async #startTerminal(spec: TerminalSpec): Promise<WireTerminal> {
    const cast = this.#host.cast(spec.cast);
    const kept = await this.#attached.startTerminal(spec);
    const handle = this.#host.startedTerminal(cast, kept);
    this.#awaitTerminal(cast, handle, kept);
    return wireTerminal({ handle, kept, end: null });
  }

  #words(): { readonly [W in keyof Words]: (params: Words[W]) => void } {
    return {
      spaceTaken: ({ place, bytes, files }) => this.#attached.spaceTaken(place, bytes, files),
      append: ({ cast, code, data }) => {
        const { log } = this.#host.cast(cast);
        if (!log.closed) log.append(code, data);
      },
      note: ({ cast, name, text }) => {
        // A lease that has ended meanwhile needs none.
        const notes = this.#host.casts.get(cast)?.notes;
        if (text === null) notes?.delete(name);
        else notes?.set(name, text);
      },
      subscribe: ({ process, as, from }) => {
        const running = this.#host.command(process).process;
        if (running !== null)
          this.#outputs.set(as, new OutputPump({ process: running, channel: this.#channel, as, from }));
      },
      unsubscribe: ({ as }) => {
        this.#outputs.get(as)?.close();
        this.#outputs.delete(as);
      },
      taken: ({ as, stream, bytes }) => this.#outputs.get(as)?.taken(stream, bytes),
      forget: ({ process }) => this.#host.forgetCommand(process),
      answerTerminal: ({ terminal, data }) => this.#host.terminal(terminal)?.answer(data),
      resizeTerminal: ({ terminal, cols, rows }) => this.#host.terminal(terminal)?.resize(cols, rows),
      signalTerminal: ({ terminal, name }) => this.#host.terminal(terminal)?.signalForeground(name),
    };
  }

  async #attach(settings: KeeperSettings): Promise<Attached> {
    const { keeper, attached } = await this.#host.attach(this, settings);
    this.#keeper = keeper;
    for (const cast of this.#host.casts.values()) {
      for (const command of cast.commands) if (command.process !== null) this.#awaitEnd(command, command.process);
      if (cast.terminal?.end === null) this.#awaitTerminal(cast, cast.terminal.handle, cast.terminal.kept);
    }
    return attached;
  }

  get #attached(): LocalKeeper {
    if (this.#keeper === null) throw new Fault('NOT_BOUND', 'This link is not attached.');
    return this.#keeper;
  }

  async #follow({ cast, after, skip }: Calls['follow'][0]): Promise<Calls['follow'][1]> {
    const { log } = this.#host.cast(cast);
    if (!skip && after + 1 < log.firstSeq) {
      await this.#attached.flushLog(cast);
      return this.#attached.placeBefore(cast, after);
    }
    this.#pump(cast, after);
    return null;
  }

  #pump(cast: string, after: number): void {
    this.#logs.get(cast)?.close();
    const { log } = this.#host.cast(cast);
    const pump = new LogPump({ log, channel: this.#channel, ended: () => this.#logs.delete(cast) });
    this.#logs.set(cast, pump);
    pump.start(after);
  }

  #awaitEnd(command: KeptCommand, process: KeptProcess): void {
    void process.ended.then((end) => {
      const { handle, output } = command;
      if (output !== null) this.#tell('processEnded', { process: handle, end, output });
    });
  }

  #awaitTerminal({ log }: KeptCast, terminal: number, kept: KeptTerminal): void {
    void kept.ended.then(({ exitCode }) => this.#tell('terminalEnded', { terminal, exitCode, seq: log.lastSeq }));
  }

  #tell<N extends keyof News>(name: N, params: News[N]): void {
    this.#channel.tell(name, params);
  }
}

const done = (_result: unknown): null => null;
