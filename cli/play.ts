// slotcast play CAST: a recording at the speed of life, from the gateway or from a file.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { CastDecoder, CastError } from '../protocol/asciicast.ts';
import { Complaint, WRONG_USE } from './complaint.ts';
import { connectTo, type GatewayOptions } from './gateway.ts';
import { OutputStream } from './output.ts';
import { ScreenFilter } from './screen-filter.ts';
import { CLEAR, endSignal, Tty } from './tty.ts';

export interface PlayOptions extends GatewayOptions {
  /** Times faster than it was. */
  readonly speed: number;
  /** The longest pause, in seconds as recorded. */
  readonly idleLimit: number;
}

type Event = readonly [time: number, code: string, data: string];

/** `cast_…` names a recording of the gateway, anything else a file. */
export async function play(cast: string, options: PlayOptions): Promise<number> {
  if (!/^cast_[0-9a-z_-]+$/.test(cast)) {
    await requireFile(cast);
    await show(eventsOfFile(cast), options);
    return 0;
  }
  const client = await connectTo(options);
  try {
    // A recording that there is not is told before the screen is cleared.
    await client.cast.info(cast);
    await show(client.cast.frames({ cast }), options);
    return 0;
  } finally {
    await client.close();
  }
}

async function show(events: AsyncIterable<Event>, options: PlayOptions): Promise<void> {
  const control = new Control();
  const signal = endSignal();
  void signal.received.then(() => control.leave());
  const tty = Tty.isThere ? new Tty({ input: (text) => control.press(text), resized: () => {} }) : null;
  try {
    await print(events, { ...options, control });
  } finally {
    tty?.close();
    signal.close();
  }
}

async function print(events: AsyncIterable<Event>, { speed, idleLimit, control }: PlayOptions & { control: Control }) {
  const output = new OutputStream(process.stdout, () => control.leave());
  const filter = new ScreenFilter({ input: false });
  if (process.stdout.isTTY) await output.write(CLEAR);
  let lastTime = 0;
  let dueMs = performance.now();
  for await (const [time, code, data] of events) {
    dueMs += (Math.min(idleLimit, time - lastTime) / speed) * 1000;
    lastTime = time;
    dueMs += await control.waitUntil(dueMs);
    if (control.hasLeft) return;
    if (code === 'o') await output.write(filter.filter(data));
  }
}

/** What the person wants of the replay: space holds it, q ends it. */
class Control {
  hasLeft = false;
  #isHeld = false;
  #wake = (): void => {};

  press(text: string): void {
    if (/[q\x03\x04]/.test(text)) this.leave();
    else if (text.includes(' ')) {
      this.#isHeld = !this.#isHeld;
      this.#wake();
    }
  }

  leave(): void {
    this.hasLeft = true;
    this.#wake();
  }

  /** Waits for that moment and as long as the replay is held; resolves with the time by which holding put it off. */
  async waitUntil(dueMs: number): Promise<number> {
    let heldMs = 0;
    while (!this.hasLeft) {
      const fromMs = performance.now();
      const waitMs = dueMs + heldMs - fromMs;
      if (!this.#isHeld && waitMs <= 0) break;
      const wasHeld = this.#isHeld;
      await this.#rest(wasHeld ? null : waitMs);
      if (wasHeld) heldMs += performance.now() - fromMs;
    }
    return heldMs;
  }

  #rest(ms: number | null): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === null ? undefined : setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

async function requireFile(path: string): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (found?.isFile()) return;
  throw new Complaint(`${path} is neither a recording (cast_…, see slotcast casts) nor a file.`, WRONG_USE);
}

async function* eventsOfFile(path: string): AsyncGenerator<Event, void, undefined> {
  const decoder = new CastDecoder();
  try {
    for await (const piece of createReadStream(path)) {
      for (const item of decoder.decode(piece as Buffer)) {
        if (item.kind === 'event') yield [item.timeMs / 1000, item.code, item.data];
      }
    }
  } catch (error) {
    throw error instanceof CastError ? new Complaint(`${path} can't be played further: ${error.message}`) : error;
  }
}
