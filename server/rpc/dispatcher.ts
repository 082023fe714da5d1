// From a method's name and raw params to its result: role, params, slot and lease are checked here once for every method and every transport.
// Nothing but a Fault leaves it, and nothing that a caller sent is logged.
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { z } from 'zod';
import { type MethodName, methodNamed } from '../../protocol/contract.ts';
import { Fault, type FaultName } from '../../protocol/fault.ts';
import type { Method } from '../../protocol/method.ts';
import { requireRole } from '../auth/gate.ts';
import { requireSlot } from '../auth/scope.ts';
import type { Context, Handlers, Peer } from '../methods/context.ts';
import { exhaustion } from '../methods/exhaustion.ts';

/** Calls that begin something, which a gateway that is going down does not. */
const beginnings: ReadonlySet<string> = new Set<MethodName>([
  'slot.acquire',
  'slot.takeover',
  'slot.reset',
  'exec.run',
  'exec.start',
  'terminal.run',
  'terminal.start',
  'watch.start',
]);

/** Calls that mean nothing without their reply, and begin nothing: every other one goes on when its connection is lost. */
export const waits: ReadonlySet<string> = new Set<MethodName>(['exec.wait', 'terminal.wait', 'cast.verify']);

/** What became of one call, for metrics. */
export interface CallRecord {
  /** A method of the contract, or `unknown`. */
  readonly method: MethodName | 'unknown';
  readonly outcome: 'ok' | FaultName;
  readonly durationMs: number;
}

export interface DispatcherOptions {
  readonly handlers: Handlers;
  readonly log: Logger;
  readonly draining: () => boolean;
  readonly observe?: (record: CallRecord) => void;
}

export class Dispatcher {
  readonly #options: DispatcherOptions;
  #busy = 0;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** Calls that run now, without those that only wait. */
  get busy(): number {
    return this.#busy;
  }

  /** Calls a method. Throws a Fault and nothing else. */
  async dispatch(name: string, params: unknown, context: Context): Promise<unknown> {
    const startMs = performance.now();
    const method = methodNamed(name) === undefined ? 'unknown' : (name as MethodName);
    const weight = waits.has(name) ? 0 : 1;
    const record = (outcome: 'ok' | FaultName): void =>
      this.#options.observe?.({ method, outcome, durationMs: performance.now() - startMs });
    this.#busy += weight;
    try {
      const result = await this.#call(name, params, context);
      record('ok');
      return result;
    } catch (error) {
      const fault = this.#toFault(error, name, context);
      record(fault.fault);
      throw fault;
    } finally {
      this.#busy -= weight;
    }
  }

  async #call(name: string, params: unknown, context: Context): Promise<unknown> {
    const method = methodNamed(name);
    if (method === undefined) {
      throw new Fault(
        'METHOD_NOT_FOUND',
        `There is no method ${JSON.stringify(name.slice(0, 100))}. See rpc.discover.`,
      );
    }
    const { peer } = context;
    requireRole(peer.grant.role, method.role, name);
    if (this.#options.draining() && beginnings.has(name)) throw new Fault('SHUTTING_DOWN');
    const call = validated(method, params);
    requireOwnSlot(method, call, peer);
    // The handler table has the types; by name they can't be told apart any more.
    const handler = this.#options.handlers[name as MethodName] as (call: unknown, context: Context) => Promise<unknown>;
    return await handler(call, context);
  }

  #toFault(error: unknown, method: string, { peer, signal }: Context): Fault {
    if (error instanceof Fault) return error;
    if (signal.aborted && (error as Error | null)?.name === 'AbortError') return new Fault('CANCELLED');
    const exhausted = exhaustion(error);
    if (exhausted !== null) return exhausted;
    const id = `err_${randomBytes(6).toString('hex')}`;
    const { slot } = peer.lease ?? { slot: peer.grant.slot };
    this.#options.log.error({ id, method, connection: peer.id, grant: peer.grant.id, slot, err: error }, 'call failed');
    return new Fault('INTERNAL', `A defect in the gateway. Its log tells more under ${id}.`, { id });
  }
}

/** The params with defaults filled in; INVALID_PARAMS names the first field that does not fit. */
function validated({ params: schema }: Method, params: unknown): Record<string, unknown> {
  if (Array.isArray(params)) throw new Fault('INVALID_PARAMS', 'Params go by name: send an object.');
  const checked = schema.safeParse(params ?? {});
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  throw new Fault('INVALID_PARAMS', issue === undefined ? 'The params do not fit.' : explain(issue));
}

function explain(issue: z.core.$ZodIssue): string {
  const path = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    const [unknown = ''] = issue.keys;
    return oneLine(`${[path, unknown].filter(Boolean).join('.')}: there is no such field`);
  }
  return oneLine(path === '' ? issue.message : `${path}: ${issue.message}`);
}

/** Long enough for every message of ours, too short to send a payload back. */
const MAX_MESSAGE = 300;
const oneLine = (text: string): string => text.replace(/[\p{Cc}\p{Bidi_Control}]+/gu, ' ').slice(0, MAX_MESSAGE);

/** A credential for one slot reaches no other, by name or by binding; and what needs a slot has one. */
function requireOwnSlot({ needs }: Method, call: Record<string, unknown>, peer: Peer): void {
  const { slot } = call;
  if (typeof slot === 'string') requireSlot(peer.grant, slot);
  if (peer.lease !== null && !peer.lease.ended) requireSlot(peer.grant, peer.lease.slot);
  if (needs !== 'slot') return;
  if (peer.lease === null) throw new Fault('NOT_BOUND');
  if (peer.lease.ended) {
    const { slot: lost, endedBy } = peer.lease;
    throw new Fault('LEASE_LOST', `The lease of ${lost} has ended: ${endedBy}. Acquire a slot anew.`);
  }
}
