// The slot that a call means: the one its connection drives, or the one it names.
import { Fault } from '../../protocol/fault.ts';
import { requireSlot } from '../auth/scope.ts';
import type { Lease } from '../slot/lease.ts';
import type { Pool } from '../slot/pool.ts';
import type { Slot } from '../slot/slot.ts';
import type { Peer } from './context.ts';

/** The lease that this connection drives. */
export function boundLease(peer: Peer): Lease {
  if (peer.lease === null) throw new Fault('NOT_BOUND');
  if (peer.lease.ended)
    throw new Fault('LEASE_LOST', `The lease of ${peer.lease.slot} has ended: ${peer.lease.endedBy}.`);
  if (peer.lease.holder !== peer)
    throw new Fault('LEASE_LOST', `${peer.lease.slot} is driven by another connection now.`);
  return peer.lease;
}

/** The slot that this connection drives, for work in it: not while it is being reset. */
export function boundSlot(pool: Pool, peer: Peer): Slot {
  const slot = pool.get(boundLease(peer).slot);
  if (slot.state !== 'leased')
    throw new Fault('SLOT_BUSY', `${slot.name} is ${slot.state}. Wait for it and call again.`);
  return slot;
}

/** The named slot if the token allows it, else the bound one. */
export function namedSlot(pool: Pool, peer: Peer, name: string | undefined): Slot {
  if (name === undefined) return pool.get(boundLease(peer).slot);
  requireSlot(peer.grant, name);
  return pool.get(name);
}
