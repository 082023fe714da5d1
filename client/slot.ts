// A leased slot: what an agent holds while it works. After its release no call of it goes anywhere, least of all to another slot.
import type { Params, Result } from '../protocol/contract.ts';
import { Fault } from '../protocol/fault.ts';
import type { Acquired, Network, SlotInfo } from '../protocol/slot.ts';
import { Artifacts } from './artifact.ts';
import { Exec } from './exec.ts';
import { Files } from './file.ts';
import type { Http } from './http.ts';
import type { Caller, CallOptions } from './rpc.ts';
import type { Session } from './session.ts';
import { Terminal } from './terminal.ts';
import type { Watch } from './watch.ts';

export interface SlotParts {
  readonly acquired: Acquired;
  readonly session: Session;
  readonly http: Http;
  readonly watch: (params: Params<'watch.start'>) => Promise<Watch>;
}

export class Slot {
  /** slot_0, slot_1, … */
  readonly name: string;
  readonly exec: Exec;
  readonly terminal: Terminal;
  readonly file: Files;
  readonly artifact: Artifacts;
  readonly #session: Session;
  readonly #watch: SlotParts['watch'];
  readonly #stopListening: () => void;
  #acquired: Acquired;
  /** Why it is over; null while it is held. */
  #ended: Error | null = null;

  constructor({ acquired, session, http, watch }: SlotParts) {
    this.name = acquired.slot;
    this.#acquired = acquired;
    this.#session = session;
    this.#watch = watch;
    const call: Caller = (method, params, options) => this.#call(method, params, options);
    this.exec = new Exec(call, { adopts: acquired.resumed });
    this.terminal = new Terminal(call);
    this.file = new Files({ slot: this.name, call, http });
    this.artifact = new Artifacts({ slot: this.name, call, http });
    for (const notified of session.takeEarly()) this.exec.receive(notified);
    this.#stopListening = this.#listen();
  }

  get lease(): string {
    return this.#acquired.lease;
  }

  /** The recording of this lease. */
  get cast(): string {
    return this.#acquired.cast;
  }

  /** The secret by which another client takes this lease up: `acquire({resume})`. */
  get resume(): string {
    return this.#acquired.resume;
  }

  /** Whether the lease was held before, by this or another client. */
  get resumed(): boolean {
    return this.#acquired.resumed;
  }

  get sandboxed(): boolean {
    return this.#acquired.sandboxed;
  }

  get network(): Network {
    return this.#acquired.network;
  }

  async info(options?: CallOptions): Promise<SlotInfo> {
    return await this.#session.call('slot.info', { slot: this.name }, options);
  }

  /** The slot's terminal as it lives. */
  async watch(params: Omit<Params<'watch.start'>, 'slot'> = {}): Promise<Watch> {
    return await this.#watch({ ...params, slot: this.name });
  }

  /** Stops everything in the slot and empties it; the lease goes on. */
  async reset(options?: CallOptions): Promise<void> {
    await this.#call('slot.reset', {}, options);
  }

  /** Ends the lease; with `reset: false` the files stay for the next one. Once it is over this does nothing. */
  async release({ reset = true }: { readonly reset?: boolean } = {}): Promise<void> {
    if (this.#ended !== null) return;
    await this.#call('slot.release', { reset });
    this.#end(new Fault('LEASE_LOST', `${this.name} was released.`));
  }

  /** Ends a take-over: whoever held the lease before goes on. Once it is over this does nothing. */
  async giveBack(): Promise<void> {
    if (this.#ended !== null) return;
    await this.#call('slot.giveback', {});
    this.#end(new Fault('LEASE_LOST', `${this.name} was given back.`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release().catch((error: unknown) => {
      // A lease that is lost, or a gateway that is gone, can't be given back: that must not hide the error that led here.
      if (this.#ended === null) throw error;
    });
  }

  #call: Caller = (method, params, options): Promise<Result<typeof method>> => {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    return this.#session.call(method, params, options);
  };

  #listen(): () => void {
    const { events } = this.#session;
    const stops = [
      events.on('exec.output', (output) => this.exec.receive({ output })),
      events.on('exec.exit', (exit) => this.exec.receive({ exit })),
      events.on('resumed', (acquired) => {
        this.#acquired = acquired;
        this.exec.resumed();
      }),
      events.on('lost', ({ fault }) => this.#end(fault)),
      events.on('closed', ({ error }) => this.#end(error)),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  }

  #end(error: Error): void {
    if (this.#ended !== null) return;
    this.#ended = error;
    this.#stopListening();
    this.exec.fail(error);
  }
}
