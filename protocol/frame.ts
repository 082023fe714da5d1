// Frames: what happened on a slot's terminal, as asciicast events with absolute times. Pure data.
import { z } from 'zod';
import { castTime } from './value.ts';
import { type FrameCode, frameCodes } from './vocabulary.ts';

export type { FrameCode };

/** `[time, code, data]`, time in seconds since the cast began, to the millisecond. */
export const frame = z.tuple([castTime, z.enum(frameCodes), z.string()]);
export type Frame = z.infer<typeof frame>;

/** A frame with its number in the log of its lease; the first is 1 and the others follow by one. */
export interface NumberedFrame {
  readonly seq: number;
  /** Milliseconds since the cast began, an integer. */
  readonly timeMs: number;
  readonly code: FrameCode;
  readonly data: string;
}

export const toFrame = (numbered: NumberedFrame): Frame => [numbered.timeMs / 1000, numbered.code, numbered.data];
