// What a method knows of who calls: the peer at the other end of the connection, and whether the call still matters.
import type { Call, MethodName, Notice, NotificationName, Result } from '../../protocol/contract.ts';
import type { Role } from '../../protocol/method.ts';
import type { Scope } from '../auth/scope.ts';
import type { Lease } from '../slot/lease.ts';

/** What a credential allows. */
export interface Grant extends Scope {
  /** Name for logs: never the credential itself. */
  readonly id: string;
  readonly role: Role;
}

/** The other end of one connection. */
export interface Peer {
  readonly id: string;
  readonly grant: Grant;
  /** The lease that this connection drives; set by slot.acquire, still set (but ended) after it was lost. */
  lease: Lease | null;
  /** Resolves when the outbox has room again: who streams awaits it, so that a slow peer slows its own stream alone. */
  notify<N extends NotificationName>(name: N, params: Notice<N>): Promise<void>;
  /** Sends a notification that was encoded before, as UTF-8, since others get it too. Whether there is room for more; else await `ready`. */
  send(encoded: Uint8Array): boolean;
  /** Resolves when the outbox has room, at once on a closed connection: for who makes a large result. */
  ready(): Promise<void>;
  /** Closes with a WebSocket code, 4000 + HTTP status. */
  close(code: number, reason: string): void;
  /** Whether the connection has ended. */
  readonly closed: boolean;
  /** Calls at the end of the connection, at once if it has ended. */
  onClose(listener: () => void): void;
}

export interface Context {
  readonly peer: Peer;
  /** Aborted by $/cancelRequest and, for calls that mean nothing without their reply, by the end of the connection. */
  readonly signal: AbortSignal;
  /** Resolves when the replies before have left, for one call after the other: awaited right before a large reply is made. */
  readonly room?: () => Promise<void>;
}

export type Handlers = {
  readonly [M in MethodName]: (call: Call<M>, context: Context) => Promise<Result<M>>;
};
