// What a method is: one typed value from which handler types, client types, validation, authorisation, OpenRPC and docs come.
import type { z } from 'zod';
import type { FaultName } from './fault.ts';

/** viewer watches and replays; agent also acquires and drives slots; admin also resets any slot and mints tokens. */
export const roles = ['viewer', 'agent', 'admin'] as const;
export type Role = (typeof roles)[number];

export interface Method<P extends z.ZodObject = z.ZodObject, R extends z.ZodType = z.ZodType> {
  readonly summary: string;
  /** The least role that may call it. */
  readonly role: Role;
  /** `slot`: the call means the slot that the connection is bound to, and fails with NOT_BOUND or LEASE_LOST without one. */
  readonly needs: 'nothing' | 'slot';
  readonly params: P;
  readonly result: R;
  /** Faults of its own, beside the ones that every call may meet. */
  readonly faults: readonly FaultName[];
}

export interface Notification<P extends z.ZodObject = z.ZodObject> {
  readonly summary: string;
  readonly params: P;
}

export const method = <P extends z.ZodObject, R extends z.ZodType>(declaration: Method<P, R>): Method<P, R> =>
  declaration;

export const notification = <P extends z.ZodObject>(declaration: Notification<P>): Notification<P> => declaration;
