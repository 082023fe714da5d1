// watch.*: a cursor on a slot's frames for each watch, sent as fast as its peer takes them.
import { randomBytes } from 'node:crypto';
import { Fault } from '../../protocol/fault.ts';
import { toFrame } from '../../protocol/frame.ts';
import { COLS, ROWS } from '../../protocol/value.ts';
import { Cursor, type FreshScreen } from '../screen/cursor.ts';
import type { Pool } from '../slot/pool.ts';
import type { Slot } from '../slot/slot.ts';
import { namedSlot } from './bound.ts';
import type { Handlers, Peer } from './context.ts';
import { SlotNews } from './slot-news.ts';
import { SlotScreens } from './slot-screen.ts';

type WatchHandlers = Pick<Handlers, 'watch.start' | 'watch.stop' | 'watch.slots'>;

/** Watches of one connection: a wall of every slot of a large host, with room to spare. */
const MAX_WATCHES = 1024;

interface Watch {
  readonly id: string;
  readonly peer: Peer;
  readonly cursor: Cursor;
  /** Why the lease ended, asked when the frames have. */
  readonly reason: () => string;
}

export function watchHandlers(pool: Pool): WatchHandlers {
  const watches = new WeakMap<Peer, Map<string, { close(): void }>>();
  const news = new SlotNews(pool);
  const screens = new SlotScreens(pool);

  const openOf = (peer: Peer): Map<string, { close(): void }> => {
    const known = watches.get(peer);
    if (known !== undefined) return known;
    const open = new Map<string, { close(): void }>();
    watches.set(peer, open);
    peer.onClose(() => {
      for (const watch of open.values()) watch.close();
    });
    return open;
  };

  return {
    'watch.start': async (call, { peer }) => {
      const slot = namedSlot(pool, peer, call.slot);
      const { lease } = slot;
      const id = `w_${randomBytes(6).toString('base64url')}`;
      await lease?.ready;
      if (lease === null || lease.ended) return nothingToWatch(slot, id, peer);
      if (openOf(peer).size >= MAX_WATCHES) {
        throw new Fault('RATE_LIMITED', `This connection has ${MAX_WATCHES} watches open. Stop some by watch.stop.`);
      }
      const since = call.cast === undefined || call.cast === lease.cast ? call.since : undefined;
      const cursor = new Cursor(lease.log, lease.screen);
      const view = slot.view();
      const open = openOf(peer);
      const close = (): void => {
        cursor.close();
        view.close();
        open.delete(id);
      };
      open.set(id, { close });
      const first = await cursor.begin(since).catch((error: unknown) => {
        close();
        throw error;
      });
      const watch: Watch = { id, peer, cursor, reason: () => lease.endedBy ?? 'stopped' };
      // After the reply, which names the watch.
      setImmediate(() => {
        pump(watch)
          .catch(() => peer.notify('watch.end', { watch: id, reason: 'failed' }))
          .finally(close);
      });
      const place = { watch: id, slot: slot.name, cast: lease.cast };
      if (first !== null) return { ...place, ...screenOf(first), ...(first.gap === null ? {} : { gap: first.gap }) };
      const { cols, rows } = lease.log;
      return { ...place, seq: cursor.seq, time: lease.log.timeMs() / 1000, cols, rows, screen: '' };
    },

    'watch.stop': async ({ watch }, { peer }) => {
      openOf(peer).get(watch)?.close();
      return {};
    },

    'watch.slots': async (call, { peer }) => {
      screens.set(peer, call.on && call.screens);
      return { slots: news.set(peer, call.on) };
    },
  };
}

/** A free slot has no frames: the watch ends at once, and slots.changed tells when somebody leases it. */
function nothingToWatch(slot: Slot, watch: string, peer: Peer) {
  setImmediate(() => void peer.notify('watch.end', { watch, reason: slot.state }));
  const size = { cols: COLS.default, rows: ROWS.default };
  return { watch, slot: slot.name, cast: null, seq: 0, time: 0, ...size, screen: '' };
}

/** Sends what comes until the frames end or the cursor is closed. */
async function pump({ id, peer, cursor, reason }: Watch): Promise<void> {
  for (;;) {
    const step = await cursor.next();
    if (step.kind === 'end') {
      await peer.notify('watch.end', { watch: id, reason: reason() });
      return;
    }
    if (step.kind === 'frames') {
      const seq = step.frames[0]?.seq ?? 0;
      await peer.notify('watch.frames', { watch: id, seq, frames: step.frames.map(toFrame) });
    } else {
      const gap = step.gap ?? { from: step.state.seq, to: step.state.seq };
      await peer.notify('watch.resync', { watch: id, ...screenOf(step), gap });
    }
  }
}

function screenOf({ state }: FreshScreen) {
  const { seq, timeMs, cols, rows, ansi } = state;
  return { seq, time: timeMs / 1000, cols, rows, screen: ansi };
}
