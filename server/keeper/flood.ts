// Who prints without end rests while another slot is asked for something: that is over soon when it has the processors for itself, and else waits for
// one at each of its ten steps. Little output never rests, and a flood goes on for a quarter of the time whatever happens beside it.
import type { Clock, Timer } from './clock.ts';

/** What prints so much at once is a flood; nearly all commands print less. */
const FLOOD_BYTES = 256 * 1024;
/** It is none any more when it prints less than a megabyte a second, some moments later. */
const CALM_BYTES_PER_MS = 1024;
/** What takes longer is work, and nobody counts its milliseconds. */
const ASKED_MS = 100;
/** A line that was typed is echoed and run; what it prints ends with a prompt, and nobody tells that this was all. */
const QUIET_MS = 8;
/** After an end: its result is on the way, and often the next call follows. */
const AFTER_MS = 5;
/** Longest rest: a command, a line in a terminal and what lies between, with some room. */
const REST_MS = 45;
/** What a flood has to go on for before its next rest: a third of that one. */
const REST_PER_RUN = 3;
/** A shorter rest helps nobody. */
const WORTH_MS = 30;

/** Somebody waits for a slot. */
export interface Asked {
  /** He has his answer. May be called twice. */
  end(): void;
}

/** One thing that prints. */
export interface Flow {
  /** Nothing of it is to be read now. */
  readonly resting: boolean;
  /** Called when that changes. */
  changed: () => void;
  printed(bytes: number): void;
  /** A line or keys have been typed into it. */
  typed(): void;
  close(): void;
}

interface Asking {
  readonly slot: string;
  readonly beganMs: number;
  untilMs: number;
}

export class Floods {
  readonly #clock: Clock;
  readonly #asking = new Set<Asking>();
  /** Those that flood. */
  readonly #flooding = new Set<SlotFlow>();
  /** How long they may rest from now on; it grows while they go on. */
  #creditMs = REST_MS;
  #countedMs: number;
  #isResting = false;
  #timer: Timer | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#countedMs = clock.now();
  }

  flow(slot: string): Flow {
    let line: Asking | null = null;
    const flow = new SlotFlow(slot, {
      now: () => this.#clock.now(),
      typed: () => {
        line = this.#ask(slot, QUIET_MS);
      },
      printed: (nowMs) => {
        if (line === null) return;
        if (line.untilMs <= nowMs) line = null;
        else line.untilMs = Math.min(line.beganMs + ASKED_MS, nowMs + QUIET_MS);
      },
      floods: () => {
        this.#flooding.add(flow);
        this.#adjust();
      },
      closed: () => {
        if (this.#flooding.delete(flow)) this.#adjust();
      },
    });
    return flow;
  }

  /** Floods of other slots rest until its end, for a while at most. */
  asked(slot: string): Asked {
    const asking = this.#ask(slot, ASKED_MS);
    let ended = false;
    return {
      end: () => {
        if (ended) return;
        ended = true;
        asking.untilMs = Math.min(asking.untilMs, this.#clock.now() + AFTER_MS);
        this.#adjust();
      },
    };
  }

  #ask(slot: string, ms: number): Asking {
    const beganMs = this.#clock.now();
    const asking = { slot, beganMs, untilMs: beganMs + ms };
    this.#asking.add(asking);
    this.#adjust();
    return asking;
  }

  #adjust(): void {
    const nowMs = this.#clock.now();
    this.#count(nowMs);
    for (const asking of this.#asking) if (asking.untilMs <= nowMs) this.#asking.delete(asking);
    for (const flow of this.#flooding) if (flow.isCalm(nowMs)) this.#flooding.delete(flow);
    const mayRest = this.#creditMs >= (this.#isResting ? 1 : WORTH_MS);
    this.#isResting = false;
    let waits = false;
    for (const flow of this.#flooding) {
      const isBeside = this.#isAskedBeside(flow.slot);
      flow.rest(mayRest && isBeside);
      this.#isResting ||= flow.resting;
      waits ||= isBeside;
    }
    this.#lookAgain(nowMs, waits);
  }

  #count(nowMs: number): void {
    const passedMs = nowMs - this.#countedMs;
    this.#countedMs = nowMs;
    const changeMs = this.#isResting ? -passedMs : passedMs * REST_PER_RUN;
    this.#creditMs = Math.max(0, Math.min(REST_MS, this.#creditMs + changeMs));
  }

  #isAskedBeside(slot: string): boolean {
    for (const asking of this.#asking) if (asking.slot !== slot) return true;
    return false;
  }

  /** When a rest ends or may begin. */
  #lookAgain(nowMs: number, waits: boolean): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (!waits) return;
    const firstMs = Math.min(...[...this.#asking].map(({ untilMs }) => untilMs)) - nowMs;
    const turnMs = this.#isResting ? this.#creditMs : (WORTH_MS - this.#creditMs) / REST_PER_RUN;
    this.#timer = this.#clock.after(Math.max(1, Math.ceil(Math.min(firstMs, turnMs))), () => this.#adjust());
  }
}

interface FlowParts {
  now(): number;
  typed(): void;
  printed(nowMs: number): void;
  floods(): void;
  closed(): void;
}

class SlotFlow implements Flow {
  readonly slot: string;
  resting = false;
  changed: () => void = () => {};
  readonly #parts: FlowParts;
  /** What was printed, less what is no flood, at that time. */
  #bytes = 0;
  #atMs = 0;

  constructor(slot: string, parts: FlowParts) {
    this.slot = slot;
    this.#parts = parts;
  }

  printed(bytes: number): void {
    const nowMs = this.#parts.now();
    this.#parts.printed(nowMs);
    const wasCalm = this.isCalm(nowMs);
    // Twice as much as makes a flood, so that it is one for a quarter of a second after its last output and not for ever.
    this.#bytes = Math.min(this.#bytes + bytes, 2 * FLOOD_BYTES);
    if (wasCalm && this.#bytes > FLOOD_BYTES) this.#parts.floods();
  }

  typed(): void {
    this.#parts.typed();
  }

  /** Not as long as it rests: it would print if it could. */
  isCalm(nowMs: number): boolean {
    if (!this.resting) this.#bytes = Math.max(0, this.#bytes - (nowMs - this.#atMs) * CALM_BYTES_PER_MS);
    this.#atMs = nowMs;
    return this.#bytes <= FLOOD_BYTES;
  }

  rest(isToRest: boolean): void {
    if (this.resting === isToRest) return;
    this.resting = isToRest;
    this.changed();
  }

  close(): void {
    this.#parts.closed();
    this.rest(false);
  }
}
