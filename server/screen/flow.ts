// Brings what a cursor reads to its viewer, as fast as the viewer takes it: at once while there is room, without anything that would be made
// for each frame and each of a thousand viewers. It never holds more than one step for a viewer that is slow.
import type { NumberedFrame } from '../../protocol/frame.ts';
import type { Gap } from '../keeper/frame-log.ts';
import type { Cursor, FreshScreen } from './cursor.ts';

export interface Sink {
  /** Sends them; false when `ready` is to be awaited before there is room for more. */
  frames(frames: readonly NumberedFrame[]): boolean;
  /** Sends it; `ready` is awaited. */
  screen(fresh: FreshScreen): void;
  /** Resolves when there is room, or nobody is there any more. */
  ready(): Promise<void>;
}

async function showAgain(cursor: Cursor, gap: Gap, sink: Sink): Promise<void> {
  sink.screen(await cursor.fresh(gap));
  await sink.ready();
}

/** Resolves when the frames have ended or the cursor is closed. Rejects as the sink or the screen does. */
export function flow(cursor: Cursor, sink: Sink): Promise<void> {
  return new Promise((resolve, reject) => {
    let isBusy = false;
    const run = (): void => {
      if (isBusy) return;
      try {
        go();
      } catch (error) {
        isBusy = true;
        reject(error);
      }
    };
    const pause = (until: Promise<void>): void => {
      isBusy = true;
      until.then(() => {
        isBusy = false;
        run();
      }, reject);
    };
    const go = (): void => {
      while (!isBusy) {
        const step = cursor.take();
        if (step === null) return;
        if (step.kind === 'end') {
          isBusy = true;
          resolve();
        } else if (step.kind === 'lost') pause(showAgain(cursor, step.gap, sink));
        else if (!sink.frames(step.frames)) pause(sink.ready());
      }
    };
    cursor.onMore(run);
    run();
  });
}
