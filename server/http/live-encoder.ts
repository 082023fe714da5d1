// A slot's frames in the three languages that asciinema players speak. Pure; one encoder for each viewer, since times count from message to message.
import { ALIS_MAGIC, ALIS_PROTOCOL, encodeAlis } from '../../protocol/alis.ts';
import type { NumberedFrame } from '../../protocol/frame.ts';
import { playable } from '../../protocol/player-text.ts';

/** A WebSocket message: text or bytes. */
export type LiveMessage = string | Uint8Array;

/** The screen as of a frame. */
export interface LiveState {
  readonly seq: number;
  readonly timeMs: number;
  readonly cols: number;
  readonly rows: number;
  readonly ansi: string;
}

export interface LiveEncoder {
  /** Sent at once, before there is anything to show. */
  hello(): readonly LiveMessage[];
  /** Everything is as in this screen; also in the middle of a stream. */
  screen(state: LiveState): readonly LiveMessage[];
  frames(frames: readonly NumberedFrame[]): readonly LiveMessage[];
  /** Nothing follows. */
  end(): readonly LiveMessage[];
  /** The close code by which the player knows that it is over and does not come back. */
  readonly endCode: number;
}

/** In the order that the server prefers. */
export const liveProtocols = [ALIS_PROTOCOL, 'v3.asciicast', 'v2.asciicast'] as const;

/** Encoded ALiS events that viewers share: all of them get the same bytes but for the first event after a screen. */
export type SharedEvents = WeakMap<
  readonly NumberedFrame[],
  { readonly afterMs: number; readonly messages: readonly LiveMessage[] }
>;

export function liveEncoder(protocol: string, shared: SharedEvents): LiveEncoder {
  if (protocol === 'v2.asciicast') return new CastEncoder(2);
  if (protocol === 'v3.asciicast') return new CastEncoder(3);
  return new AlisEncoder(shared);
}

class AlisEncoder implements LiveEncoder {
  readonly endCode = 4000;
  readonly #shared: SharedEvents;
  #lastId = 0;
  #lastMs = 0;

  constructor(shared: SharedEvents) {
    this.#shared = shared;
  }

  hello(): readonly LiveMessage[] {
    return [ALIS_MAGIC];
  }

  screen({ seq, timeMs, cols, rows, ansi }: LiveState): readonly LiveMessage[] {
    this.#lastId = seq;
    this.#lastMs = timeMs;
    return [encodeAlis({ kind: 'init', lastId: seq, timeUs: timeMs * 1000, cols, rows, screen: playable(ansi) })];
  }

  frames(frames: readonly NumberedFrame[]): readonly LiveMessage[] {
    const known = this.#shared.get(frames);
    const afterMs = this.#lastMs;
    this.#lastId = frames.at(-1)?.seq ?? this.#lastId;
    this.#lastMs = frames.at(-1)?.timeMs ?? afterMs;
    if (known?.afterMs === afterMs) return known.messages;
    const messages = frames.map(({ seq, timeMs, code, data }, at) => {
      const dtUs = Math.max(0, timeMs - (frames[at - 1]?.timeMs ?? afterMs)) * 1000;
      return bytesOf(encodeAlis({ kind: 'event', id: seq, dtUs, code, data: playable(data) }));
    });
    this.#shared.set(frames, { afterMs, messages });
    return messages;
  }

  end(): readonly LiveMessage[] {
    return [encodeAlis({ kind: 'end', id: this.#lastId, dtUs: 0 })];
  }
}

/** asciicast by lines. It knows no new screen in the middle: there the terminal is resized, reset and painted. */
class CastEncoder implements LiveEncoder {
  readonly endCode = 1000;
  readonly #version: 2 | 3;
  #began = false;
  /** The player's clock starts with the first screen. */
  #startMs = 0;
  #lastMs = 0;

  constructor(version: 2 | 3) {
    this.#version = version;
  }

  hello(): readonly LiveMessage[] {
    return [];
  }

  screen({ timeMs, cols, rows, ansi }: LiveState): readonly LiveMessage[] {
    if (this.#began) {
      return [this.#event(timeMs, 'r', `${cols}x${rows}`), this.#event(timeMs, 'o', `\u001bc${ansi}`)];
    }
    this.#began = true;
    this.#startMs = timeMs;
    this.#lastMs = timeMs;
    const size = this.#version === 2 ? { width: cols, height: rows } : { term: { cols, rows } };
    return [JSON.stringify({ version: this.#version, ...size }), this.#event(timeMs, 'o', ansi)];
  }

  frames(frames: readonly NumberedFrame[]): readonly LiveMessage[] {
    return frames.map(({ timeMs, code, data }) => this.#event(timeMs, code, data));
  }

  end(): readonly LiveMessage[] {
    return [];
  }

  #event(timeMs: number, code: string, data: string): string {
    const fromMs = this.#version === 2 ? this.#startMs : this.#lastMs;
    this.#lastMs = timeMs;
    return JSON.stringify([Math.max(0, timeMs - fromMs) / 1000, code, playable(data)]);
  }
}

/** As the network takes it: of other bytes a view is made for each viewer. */
const bytesOf = ({ buffer, byteOffset, length }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, length);
