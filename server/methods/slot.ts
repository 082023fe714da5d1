// slot.*: leases. A connection that ends leaves its lease to the grace time.
import { Fault } from '../../protocol/fault.ts';
import type { Acquired, Network } from '../../protocol/slot.ts';
import { seesSlot } from '../auth/scope.ts';
import type { Lease } from '../slot/lease.ts';
import type { Pool } from '../slot/pool.ts';
import { boundLease, namedSlot } from './bound.ts';
import type { Handlers, Peer } from './context.ts';
import type { Followers } from './follow.ts';

export interface SlotMethodParts {
  readonly pool: Pool;
  readonly followers: Followers;
  readonly sandboxed: boolean;
  /** The most that the operator allows, and what a lease gets when it does not ask. */
  readonly network: Network;
  readonly graceMs: number;
}

type SlotHandlers = Pick<
  Handlers,
  'slot.acquire' | 'slot.release' | 'slot.reset' | 'slot.list' | 'slot.info' | 'slot.takeover' | 'slot.giveback'
>;

export function slotHandlers(parts: SlotMethodParts): SlotHandlers {
  const { pool, followers } = parts;
  /** Whose end is listened for: once, however many leases they have one after the other. */
  const bound = new WeakSet<Peer>();
  const acquiring = new WeakSet<Peer>();

  const refuseSecond = (peer: Peer): void => {
    if (acquiring.has(peer)) throw new Fault('SLOT_BUSY', 'This connection is acquiring a slot already.');
    if (peer.lease === null || peer.lease.ended) return;
    const { slot } = peer.lease;
    throw new Fault('SLOT_BUSY', `This connection drives ${slot}. Release it first, or open another connection.`);
  };

  const bind = (lease: Lease, peer: Peer, resumed: boolean): Acquired => {
    peer.lease = lease;
    if (peer.closed) lease.unbind(peer);
    if (!bound.has(peer)) peer.onClose(() => peer.lease?.unbind(peer));
    bound.add(peer);
    const { slot, id, resume, cast, network, graceMs } = lease;
    const { sandboxed } = parts;
    return { slot, lease: id, resume, cast, workspace: '/workspace', resumed, sandboxed, network, graceMs };
  };

  return {
    'slot.acquire': async (call, { peer }) => {
      refuseSecond(peer);
      if (call.resume !== undefined) {
        const lease = pool.resume(call.resume, peer.grant.slot, peer);
        const acquired = bind(lease, peer, true);
        followers.resume(peer, lease, call.received ?? {});
        return acquired;
      }
      const network = narrowed(call.network, parts.network);
      const { label = null, graceMs = parts.graceMs, key = null } = call;
      const name = call.slot ?? peer.grant.slot ?? undefined;
      if (name !== undefined) namedSlot(pool, peer, name);
      acquiring.add(peer);
      try {
        const { lease, known } = await pool.acquire(name, { label, network, graceMs, key }, peer);
        const acquired = bind(lease, peer, known);
        if (known) followers.resume(peer, lease, call.received ?? {});
        return acquired;
      } finally {
        acquiring.delete(peer);
      }
    },

    'slot.release': async ({ reset }, { peer }) => {
      const lease = boundLease(peer);
      await pool.get(lease.slot).release('released', reset);
      // Meanwhile the connection may have got another one.
      if (peer.lease === lease) peer.lease = null;
      return {};
    },

    'slot.reset': async (call, { peer }) => {
      const own = peer.lease !== null && !peer.lease.ended && (call.slot ?? peer.lease.slot) === peer.lease.slot;
      if (!own && call.slot !== undefined && peer.grant.role !== 'admin') {
        throw new Fault('FORBIDDEN', `Only an admin may reset a slot that this connection does not drive.`);
      }
      await namedSlot(pool, peer, call.slot).reset();
      return {};
    },

    'slot.list': async (_call, { peer }) => ({
      slots: pool.list().filter(({ slot }) => seesSlot(peer.grant, slot)),
    }),

    'slot.info': async (call, { peer }) => namedSlot(pool, peer, call.slot).info(),

    'slot.takeover': async (call, { peer }) => {
      refuseSecond(peer);
      const { lease } = namedSlot(pool, peer, call.slot);
      if (lease === null || lease.ended)
        throw new Fault('SLOT_BUSY', `${call.slot} has no lease to take over. Acquire it.`);
      if (peer.grant.role !== 'admin' && (lease.label === null || lease.label !== call.label)) {
        throw new Fault('FORBIDDEN', `Taking over ${call.slot} needs an admin token, or the label of its lease.`);
      }
      lease.takeOver(peer);
      const acquired = bind(lease, peer, true);
      followers.resume(peer, lease, {});
      return acquired;
    },

    'slot.giveback': async (_call, { peer }) => {
      boundLease(peer).giveBack();
      peer.lease = null;
      followers.leave(peer);
      return {};
    },
  };
}

/** What the lease asked for; by default what the operator set. It can only be narrowed. */
function narrowed(asked: Network | undefined, allowed: Network): Network {
  if (asked === 'host' && allowed === 'none') {
    throw new Fault(
      'FORBIDDEN',
      'This gateway runs slots without network. The operator can allow it by --network host.',
    );
  }
  return asked ?? allowed;
}
