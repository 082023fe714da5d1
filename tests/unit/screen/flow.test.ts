// Many viewers of one log: what they share, and what the one never costs the other.
import { afterEach, expect, test } from 'vitest';
import type { NumberedFrame } from '../../../protocol/frame.ts';
import { FrameLog } from '../../../server/keeper/frame-log.ts';
import { Cursor } from '../../../server/screen/cursor.ts';
import { flow, type Sink } from '../../../server/screen/flow.ts';
import { LiveScreen } from '../../../server/screen/live-screen.ts';

const open: { close(): void }[] = [];

afterEach(() => {
  for (const thing of open.splice(0)) thing.close();
});

function stage(ringBytes?: number) {
  const log = new FrameLog({
    cast: 'cast_1',
    cols: 80,
    rows: 24,
    now: () => 0,
    ...(ringBytes === undefined ? {} : { ringBytes }),
  });
  const screen = new LiveScreen(log, { reply: () => {} });
  open.push(screen, log);
  return { log, screen };
}

/** Takes what comes while it has room. */
class Viewer implements Sink {
  readonly cursor: Cursor;
  readonly got: (readonly NumberedFrame[])[] = [];
  readonly screens: number[] = [];
  hasRoom = true;
  readonly ended: Promise<void>;
  #roomy: () => void = () => {};

  constructor({ log, screen }: { log: FrameLog; screen: LiveScreen }) {
    this.cursor = new Cursor(log, screen);
    open.push(this.cursor);
    this.cursor.seq = log.lastSeq;
    this.ended = flow(this.cursor, this);
  }

  frames(frames: readonly NumberedFrame[]): boolean {
    this.got.push(frames);
    return this.hasRoom;
  }

  screen({ state }: { state: { seq: number } }): void {
    this.screens.push(state.seq);
  }

  ready(): Promise<void> {
    if (this.hasRoom) return Promise.resolve();
    return new Promise((resolve) => {
      this.#roomy = resolve;
    });
  }

  giveRoom(): void {
    this.hasRoom = true;
    this.#roomy();
  }

  get text(): string {
    return this.got
      .flat()
      .map(({ data }) => data)
      .join('');
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('all viewers get the very same frames, and all of a turn at once', async () => {
  const place = stage();
  const viewers = [1, 2, 3].map(() => new Viewer(place));
  for (const data of ['a', 'b', '\x1b[1mc']) place.log.append('o', data);
  await turn();
  place.log.append('o', 'd');
  await turn();
  for (const { got } of viewers) expect(got.map((frames) => frames.length)).toEqual([3, 1]);
  for (const { got } of viewers) for (const at of [0, 1]) expect(got[at]).toBe(viewers[0]?.got[at]);
});

test('a sequence that is left out is left out for each, wherever it is cut, and what follows is shared again', async () => {
  const place = stage();
  const early = new Viewer(place);
  place.log.append('o', 'a\x1b]5');
  await turn();
  // It comes in the middle of the sequence: from there on it is given what it says, as text.
  const late = new Viewer(place);
  place.log.append('o', '2;c;c2VjcmV0\x07b');
  await turn();
  place.log.append('o', 'c');
  await turn();
  expect([early.text, late.text]).toEqual(['abc', '2;c;c2VjcmV0\x07bc']);
  expect(early.got.at(-1)).toBe(late.got.at(-1));
});

test('one that has no room waits for it alone, and then has all that it missed, or a screen in its place', async () => {
  const place = stage(1000);
  const [slow, quick] = [new Viewer(place), new Viewer(place)];
  slow.hasRoom = false;
  for (const data of ['a', 'b', 'c']) {
    place.log.append('o', data);
    await turn();
  }
  expect([slow.text, quick.text]).toEqual(['a', 'abc']);
  slow.giveRoom();
  await turn();
  expect(slow.text).toBe('abc');
  slow.hasRoom = false;
  for (let n = 0; n < 30; n++) {
    place.log.append('o', `${n} ${'x'.repeat(100)}`);
    await turn();
  }
  slow.giveRoom();
  await expect.poll(() => slow.screens).toEqual([place.log.lastSeq]);
  place.log.append('o', 'end');
  await turn();
  expect([slow.got.at(-1), quick.screens]).toEqual([quick.got.at(-1), []]);
});

test('one that fails ends by itself', async () => {
  const place = stage();
  const [bad, good] = [new Viewer(place), new Viewer(place)];
  bad.frames = () => {
    throw new Error('no more');
  };
  const failed = expect(bad.ended).rejects.toThrow('no more');
  place.log.append('o', 'a');
  await failed;
  place.log.append('o', 'b');
  await turn();
  expect(good.text).toBe('ab');
});

test('the end comes after the last frame, to who waits for room too; who is closed is told nothing more', async () => {
  const place = stage();
  const [slow, quick, gone] = [new Viewer(place), new Viewer(place), new Viewer(place)];
  slow.hasRoom = false;
  place.log.append('o', 'a');
  await turn();
  gone.cursor.close();
  await gone.ended;
  place.log.append('o', 'b');
  place.log.close();
  await quick.ended;
  slow.giveRoom();
  await slow.ended;
  expect([slow.text, quick.text, gone.text]).toEqual(['ab', 'ab', 'a']);
});
