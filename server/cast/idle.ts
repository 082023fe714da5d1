// The pauses of a recording, so that a player can skip them: taken from the times of its output as they pass.
// It keeps the longest within a bound, never one for each frame.

/** Shorter ones are part of watching somebody work. */
const MIN_IDLE_MS = 2000;
/** A reply of a quarter of a megabyte; a recording that has more pauses takes six hours at least. */
const MAX_RANGES = 10_000;

/** The pauses so far, to go on with later. */
export interface IdleState {
  readonly ranges: readonly Range[];
  /** Time of the last output. */
  readonly lastMs: number;
}

interface Range {
  readonly fromMs: number;
  readonly toMs: number;
}

export class Idle {
  /** In order of time; up to twice the bound, so that it is seldom cut. */
  #ranges: Range[];
  #lastMs: number;

  constructor(state: IdleState = { ranges: [], lastMs: 0 }) {
    this.#ranges = [...state.ranges];
    this.#lastMs = state.lastMs;
  }

  get state(): IdleState {
    return { ranges: longest(this.#ranges), lastMs: this.#lastMs };
  }

  /** How many are held. */
  get size(): number {
    return this.#ranges.length;
  }

  /** Output came at this time, which is not before the last one. */
  output(timeMs: number): void {
    if (timeMs - this.#lastMs >= MIN_IDLE_MS) this.#ranges.push({ fromMs: this.#lastMs, toMs: timeMs });
    this.#lastMs = timeMs;
    if (this.#ranges.length >= 2 * MAX_RANGES) this.#ranges = longest(this.#ranges);
  }

  /** In seconds and in order, up to the end of the recording. */
  ranges(endMs: number): [from: number, to: number][] {
    const open = endMs - this.#lastMs >= MIN_IDLE_MS ? [{ fromMs: this.#lastMs, toMs: endMs }] : [];
    return longest([...this.#ranges, ...open]).map(({ fromMs, toMs }) => [fromMs / 1000, toMs / 1000]);
  }
}

function longest(ranges: readonly Range[]): Range[] {
  if (ranges.length <= MAX_RANGES) return [...ranges];
  const byLength = [...ranges].sort((a, b) => b.toMs - b.fromMs - (a.toMs - a.fromMs));
  return byLength.slice(0, MAX_RANGES).sort((a, b) => a.fromMs - b.fromMs);
}
