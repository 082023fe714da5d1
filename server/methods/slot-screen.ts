// slots.screens for connections that asked by watch.slots: what stands on the terminals as text, a few times a second, only what changed.
// Each screen is read once, however many look; who reads slowly skips states, and never more than one message waits for a connection.
import type { SlotScreen } from '../../protocol/slot.ts';
import { seesSlot } from '../auth/scope.ts';
import type { Pool } from '../slot/pool.ts';
import type { Slot } from '../slot/slot.ts';
import type { Peer } from './context.ts';

/** Between two looks at all slots: alive to the eye, and a hundred busy ones cost a tenth of a core. */
const TICK_MS = 400;

/** As wide as a terminal can be; a hostile one may hold many marks in each cell. */
const MAX_LINE_CHARS = 500;

/** A slot as it was seen last; a new version each time that it looks different. */
interface Seen {
  readonly version: number;
  readonly screen: SlotScreen;
}

interface Reader {
  /** Versions by slot that the peer has been sent. */
  readonly sent: Map<string, number>;
  isSending: boolean;
}

export class SlotScreens {
  readonly #pool: Pool;
  readonly #readers = new Map<Peer, Reader>();
  readonly #known = new WeakSet<Peer>();
  readonly #seen = new Map<string, Seen>();
  #versions = 0;
  #timer: NodeJS.Timeout | null = null;
  #isLooking = false;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Turns the screens on or off for this peer. On again, it gets all of them again. */
  set(peer: Peer, on: boolean): void {
    if (!on) {
      this.#stop(peer);
      return;
    }
    const reader = this.#readers.get(peer) ?? { sent: new Map<string, number>(), isSending: false };
    reader.sent.clear();
    this.#readers.set(peer, reader);
    if (!this.#known.has(peer)) peer.onClose(() => this.#stop(peer));
    this.#known.add(peer);
    if (this.#readers.has(peer)) this.#next(0);
  }

  #stop(peer: Peer): void {
    this.#readers.delete(peer);
    if (this.#readers.size > 0) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    // Nobody looks: what is kept would only grow old.
    this.#seen.clear();
  }

  #next(waitMs: number): void {
    if (this.#isLooking) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#tick(), waitMs);
  }

  async #tick(): Promise<void> {
    this.#isLooking = true;
    for (const slot of this.#pool.all()) if (this.#isWanted(slot.name)) await this.#look(slot);
    this.#isLooking = false;
    for (const [peer, reader] of this.#readers) this.#send(peer, reader);
    if (this.#readers.size > 0) this.#next(TICK_MS);
  }

  #isWanted(name: string): boolean {
    for (const peer of this.#readers.keys()) if (seesSlot(peer.grant, name)) return true;
    return false;
  }

  /** A lease may end meanwhile: then the next look sees that. */
  async #look(slot: Slot): Promise<void> {
    const former = this.#seen.get(slot.name)?.screen;
    const screen = await read(slot, former).catch(() => undefined);
    if (screen === undefined) return;
    const known = this.#seen.get(slot.name);
    // What looks the same is no news, but need not be looked at again.
    const version = known !== undefined && looksLike(known.screen, screen) ? known.version : ++this.#versions;
    this.#seen.set(slot.name, { version, screen });
  }

  #send(peer: Peer, reader: Reader): void {
    if (reader.isSending) return;
    const news = [...this.#seen.entries()].filter(
      ([name, { version }]) => seesSlot(peer.grant, name) && reader.sent.get(name) !== version,
    );
    if (news.length === 0) return;
    for (const [name, { version }] of news) reader.sent.set(name, version);
    reader.isSending = true;
    const done = peer.notify('slots.screens', { screens: news.map(([, { screen }]) => screen) });
    void done
      .catch(() => {})
      .finally(() => {
        reader.isSending = false;
      });
  }
}

/** undefined when nothing is to be told of the slot: as it was, or never with a terminal. */
async function read(slot: Slot, former: SlotScreen | undefined): Promise<SlotScreen | undefined> {
  const { name, lease } = slot;
  if (lease === null || lease.ended || lease.terminal.info() === null) {
    return former === undefined
      ? undefined
      : { ...former, cast: null, seq: 0, cursor: null, alternateScreen: false, lines: [] };
  }
  await lease.ready;
  if (former?.cast === lease.cast && former.seq === lease.log.lastSeq) return undefined;
  const { text, seq, cols, rows, cursor, alternateScreen } = await lease.screen.capture({ history: 0, format: 'text' });
  return { slot: name, cast: lease.cast, seq, cols, rows, cursor, alternateScreen, lines: linesOf(text) };
}

/** Without the empty ones at the bottom. */
function linesOf(text: string): string[] {
  const lines = text.split('\n').map((line) => line.slice(0, MAX_LINE_CHARS).trimEnd().toWellFormed());
  return lines.slice(0, lines.findLastIndex((line) => line !== '') + 1);
}

/** Frames that change nothing on the screen make no news. */
const looksLike = (a: SlotScreen, b: SlotScreen): boolean =>
  JSON.stringify({ ...a, seq: 0 }) === JSON.stringify({ ...b, seq: 0 });
