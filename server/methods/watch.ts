// watch.*: a cursor on a slot's frames for each watch, sent as fast as its peer takes them.
import type { Notice } from '../../protocol/contract.ts';
import { encodeNotification } from '../../protocol/envelope.ts';
import { Fault } from '../../protocol/fault.ts';
import { type NumberedFrame, toFrame } from '../../protocol/frame.ts';
import { COLS, ROWS } from '../../protocol/value.ts';
import { Cursor, type FreshScreen } from '../screen/cursor.ts';
import { flow } from '../screen/flow.ts';
import type { Lease } from '../slot/lease.ts';
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
  readonly shared: SharedFrames;
}

/** Watches of one connection. */
interface Watches {
  readonly open: Map<string, { close(): void }>;
  /** Their names count up, so that most viewers of a slot are sent the same bytes. */
  last: number;
}

/** The last message of frames of one lease: encoded once for all who are sent the same. */
class SharedFrames {
  #last: { readonly watch: string; readonly frames: readonly NumberedFrame[]; readonly bytes: Buffer } | null = null;

  encoded(watch: string, frames: readonly NumberedFrame[]): Buffer {
    const last = this.#last;
    if (last?.watch === watch && last.frames === frames) return last.bytes;
    const params: Notice<'watch.frames'> = { watch, seq: frames[0]?.seq ?? 0, frames: frames.map(toFrame) };
    const bytes = Buffer.from(encodeNotification('watch.frames', params));
    this.#last = { watch, frames, bytes };
    return bytes;
  }
}

export function watchHandlers(pool: Pool): WatchHandlers {
  const watches = new WeakMap<Peer, Watches>();
  const shared = new WeakMap<Lease, SharedFrames>();
  const news = new SlotNews(pool);
  const screens = new SlotScreens(pool);

  const watchesOf = (peer: Peer): Watches => {
    const known = watches.get(peer);
    if (known !== undefined) return known;
    const all: Watches = { open: new Map(), last: 0 };
    watches.set(peer, all);
    peer.onClose(() => {
      for (const watch of all.open.values()) watch.close();
    });
    return all;
  };

  const sharedOf = (lease: Lease): SharedFrames => {
    const known = shared.get(lease) ?? new SharedFrames();
    shared.set(lease, known);
    return known;
  };

  return {
    'watch.start': async (call, { peer }) => {
      const slot = namedSlot(pool, peer, call.slot);
      const { lease } = slot;
      const all = watchesOf(peer);
      const { open } = all;
      const id = `w${++all.last}`;
      await lease?.ready;
      if (lease === null || lease.ended) return nothingToWatch(slot, id, peer);
      if (open.size >= MAX_WATCHES) {
        throw new Fault('RATE_LIMITED', `This connection has ${MAX_WATCHES} watches open. Stop some by watch.stop.`);
      }
      const since = call.cast === undefined || call.cast === lease.cast ? call.since : undefined;
      const cursor = new Cursor(lease.log, lease.screen);
      const view = slot.view();
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
      const reason = (): string => lease.endedBy ?? 'stopped';
      const watch: Watch = { id, peer, cursor, reason, shared: sharedOf(lease) };
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
      watchesOf(peer).open.get(watch)?.close();
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
async function pump({ id, peer, cursor, reason, shared }: Watch): Promise<void> {
  await flow(cursor, {
    frames: (frames) => peer.send(shared.encoded(id, frames)),
    screen: (fresh) => {
      const { seq } = fresh.state;
      void peer.notify('watch.resync', { watch: id, ...screenOf(fresh), gap: fresh.gap ?? { from: seq, to: seq } });
    },
    ready: () => peer.ready(),
  });
  await peer.notify('watch.end', { watch: id, reason: reason() });
}

function screenOf({ state }: FreshScreen) {
  const { seq, timeMs, cols, rows, ansi } = state;
  return { seq, time: timeMs / 1000, cols, rows, screen: ansi };
}
