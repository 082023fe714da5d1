// What a recording holds, read once, and again as often as it is said to have changed.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Result } from '../../../client/index.ts';
import { useApp } from '../context.ts';

export type CastDetail = Result<'cast.info'>;

export interface KnownCast {
  readonly info: CastDetail | null;
  readonly problem: Error | null;
  /** Seconds of the recording now: it goes on while it is live. */
  liveTime(): number;
}

/** Commands may start and end many times a second; a list is read by a person. */
const INTERVAL_MS = 400;

export function useCast(cast: string | null, changed: unknown = null): KnownCast {
  const { gateway } = useApp();
  const [info, setInfo] = useState<CastDetail | null>(null);
  const [problem, setProblem] = useState<Error | null>(null);
  const readAt = useRef({ cast: '', atMs: 0, duration: 0 });
  const lastMs = useRef(0);
  const wanted = useRef(cast);
  wanted.current = cast;
  const turns = useRef({ asked: 0, shown: 0 });
  // `changed` says when to read again.
  useEffect(() => {
    if (cast === null) return setInfo(null);
    const read = async (): Promise<void> => {
      lastMs.current = performance.now();
      const turn = ++turns.current.asked;
      // A slot may change faster than a reply comes: it still counts, unless a newer one was quicker.
      const isOld = (): boolean => wanted.current !== cast || turn < turns.current.shown;
      try {
        const client = await gateway.client();
        const read = await client.cast.info(cast);
        if (isOld()) return;
        turns.current.shown = turn;
        readAt.current = { cast, atMs: performance.now(), duration: read.duration };
        setInfo(read);
        setProblem(null);
      } catch (error) {
        if (!isOld()) setProblem(error instanceof Error ? error : new Error(String(error)));
      }
    };
    const waitMs = Math.max(0, lastMs.current + INTERVAL_MS - performance.now());
    const timer = setTimeout(() => void read(), waitMs);
    return () => clearTimeout(timer);
  }, [cast, changed, gateway]);
  const known = info !== null && info.cast === cast ? info : null;
  return {
    info: known,
    problem,
    liveTime: () => {
      if (known === null) return 0;
      const { atMs, duration } = readAt.current;
      return known.live ? duration + (performance.now() - atMs) / 1000 : known.duration;
    },
  };
}
