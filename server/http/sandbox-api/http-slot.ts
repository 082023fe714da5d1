// A slot as this API drives it: leased with the first call that needs it, held until it is reset, and driven by the same methods as over a WebSocket.
import { createHash } from 'node:crypto';
import type { MethodName, Params, Result } from '../../../protocol/contract.ts';
import { Fault } from '../../../protocol/fault.ts';
import type { Context, Peer } from '../../methods/context.ts';
import { KeyTable } from '../../slot/key-table.ts';
import type { Pool } from '../../slot/pool.ts';
import type { ToolResult } from './reply.ts';

/** The longest that may be asked for: nobody is connected, so nobody is missed. */
const GRACE_MS = 86_400_000;
/** How lists and recordings name such a lease. */
const LABEL = 'http';

/** Calls a method of the contract; throws a Fault and nothing else. */
export type Dispatch = (method: MethodName, params: unknown, context: Context) => Promise<unknown>;

export interface HttpSlotOptions {
  readonly name: string;
  readonly pool: Pool;
  readonly dispatch: Dispatch;
}

/** Who sent an execution, so that the same one sent again is known. */
export interface Execution {
  readonly id: string | null;
  /** Everything that it asked for. */
  readonly order: unknown;
}

export class HttpSlot {
  readonly name: string;
  readonly #options: HttpSlotOptions;
  #peer: HttpPeer | null = null;
  #resume: string | null = null;
  #binding: Promise<HttpPeer> | null = null;
  #executions = new KeyTable();
  readonly #running = new Set<Execution>();
  /** What readers of the terminal's stream that name no offset have had; anew with each lease. */
  streamed = 0;

  constructor(options: HttpSlotOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** Whether it works for this API or for somebody else. */
  get busy(): boolean {
    const { state } = this.#options.pool.get(this.name);
    return this.#running.size > 0 || (state !== 'free' && !this.#holds() && this.#formerSecret() === null);
  }

  /** The execution that began last among those that run; null when none does, or it has no name. */
  get executionId(): string | null {
    return [...this.#running].at(-1)?.id ?? null;
  }

  /** The recording of its lease. */
  async cast(): Promise<string> {
    return (await this.#bound()).lease?.cast ?? '';
  }

  async call<M extends MethodName>(method: M, params: Params<M>): Promise<Result<M>> {
    const peer = await this.#bound();
    return (await this.#dispatch(method, params, peer)) as Result<M>;
  }

  /**
   * Runs it once: the same one sent again joins it, and gets its result when it has ended. A fault is no result. `work` gets the key for what it
   * calls, which holds under the next gateway too.
   */
  async once(execution: Execution, work: (key: string | undefined) => Promise<ToolResult>): Promise<ToolResult> {
    const { id, order } = execution;
    const { signal } = new AbortController();
    // A client may give one name to different orders; those are different executions.
    const key =
      id === null
        ? undefined
        : createHash('sha256')
            .update(JSON.stringify([id, order]))
            .digest('base64');
    return await this.#executions.once({ key, method: 'execute', params: {}, signal }, async () => {
      this.#running.add(execution);
      try {
        return await work(key);
      } finally {
        this.#running.delete(execution);
      }
    });
  }

  /** Ends the lease and empties the slot. SLOT_BUSY while somebody else drives it. */
  async reset(): Promise<void> {
    await this.#binding?.catch(() => undefined);
    const slot = this.#options.pool.get(this.name);
    if (slot.lease !== null && !this.#holds() && this.#formerSecret() !== null) await this.#bound();
    if (slot.lease !== null && !this.#holds()) throw drivenElsewhere(this.name);
    const peer = this.#peer ?? new HttpPeer(this.name);
    this.#peer = null;
    this.#resume = null;
    this.#executions = new KeyTable();
    this.streamed = 0;
    if (slot.lease === null) await this.#dispatch('slot.reset', { slot: this.name }, peer);
    else await this.#dispatch('slot.release', { reset: true }, peer);
  }

  #holds(): boolean {
    const lease = this.#peer?.lease ?? null;
    return lease !== null && !lease.ended && lease.holder === this.#peer;
  }

  async #bound(): Promise<HttpPeer> {
    if (this.#peer !== null && this.#holds()) return this.#peer;
    this.#binding ??= this.#bind().finally(() => {
      this.#binding = null;
    });
    return await this.#binding;
  }

  async #bind(): Promise<HttpPeer> {
    const secret = this.#formerSecret();
    const goesOn = secret !== null;
    const peer = new HttpPeer(this.name);
    const order = goesOn ? { resume: secret } : { slot: this.name, label: LABEL, graceMs: GRACE_MS };
    const { resume } = (await this.#dispatch('slot.acquire', order, peer).catch((error: unknown) => {
      throw error instanceof Fault && error.fault === 'SLOT_BUSY' ? drivenElsewhere(this.name) : error;
    })) as Result<'slot.acquire'>;
    if (!goesOn) this.streamed = 0;
    this.#peer = peer;
    this.#resume = resume;
    return peer;
  }

  /** Of the lease that it has, or that a gateway before this one had for this API; null when there is none. */
  #formerSecret(): string | null {
    const former = this.#peer?.lease ?? null;
    if (former !== null) return former.ended ? null : this.#resume;
    const { lease } = this.#options.pool.get(this.name);
    const isLeft = lease !== null && !lease.ended && lease.holder === null && lease.ownerResume === null;
    return isLeft && lease.label === LABEL && lease.graceMs === GRACE_MS ? lease.resume : null;
  }

  /** Nobody's end is awaited: a client that is cut off comes again for the result. */
  #dispatch(method: MethodName, params: unknown, peer: Peer): Promise<unknown> {
    return this.#options.dispatch(method, params, { peer, signal: new AbortController().signal });
  }
}

const drivenElsewhere = (name: string): Fault =>
  new Fault('SLOT_BUSY', `${name} is driven over a WebSocket just now, or being reset. Use another slot, or wait.`);

/** The holder of such a lease. It hears nothing and ends only when somebody takes the slot over. */
class HttpPeer implements Peer {
  readonly id: string;
  readonly grant = { id: 'http', role: 'admin', slot: null, cast: null } as const;
  lease: Peer['lease'] = null;
  closed = false;
  readonly #listeners: (() => void)[] = [];

  constructor(slot: string) {
    this.id = `http_${slot}`;
  }

  async notify(): Promise<void> {}

  send(): boolean {
    return true;
  }

  async ready(): Promise<void> {}

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const listener of this.#listeners.splice(0)) listener();
  }

  onClose(listener: () => void): void {
    if (this.closed) listener();
    else this.#listeners.push(listener);
  }
}
