// The recordings that fit a search, a page at a time; the list is asked for again when somebody stops typing.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { CastInfo, Params } from '../../../client/index.ts';
import { useApp } from '../context.ts';

export interface CastSearch {
  readonly text: string;
  /** `2026-11-22`, as a date field gives it; empty without a bound. The last day is included. */
  readonly from: string;
  readonly to: string;
}

export interface CastResults {
  /** null until the first page. */
  readonly casts: readonly CastInfo[] | null;
  readonly hasMore: boolean;
  readonly isBusy: boolean;
  readonly problem: Error | null;
  more(): void;
}

const PAGE = 50;
/** Between two letters of somebody who types. */
const TYPING_MS = 200;

export function useCastSearch(search: CastSearch): CastResults {
  const { gateway } = useApp();
  const [casts, setCasts] = useState<readonly CastInfo[] | null>(null);
  const [hasMore, setMore] = useState(false);
  const [isBusy, setBusy] = useState(true);
  const [problem, setProblem] = useState<Error | null>(null);
  const turn = useRef(0);

  const ask = useCallback(
    async (known: readonly CastInfo[]): Promise<void> => {
      const mine = ++turn.current;
      setBusy(true);
      try {
        const client = await gateway.client();
        const before = known.at(-1)?.cast;
        const page = await client.cast.list({ ...paramsOf(search), limit: PAGE, ...(before ? { before } : {}) });
        if (mine !== turn.current) return;
        setCasts([...known, ...page]);
        setMore(page.length === PAGE);
        setProblem(null);
      } catch (error) {
        if (mine === turn.current) setProblem(error instanceof Error ? error : new Error(String(error)));
      }
      if (mine === turn.current) setBusy(false);
    },
    [gateway, search],
  );

  useEffect(() => {
    const timer = setTimeout(() => void ask([]), TYPING_MS);
    return () => clearTimeout(timer);
  }, [ask]);

  return { casts, hasMore, isBusy, problem, more: () => void ask(casts ?? []) };
}

/** Days of 23 and 25 hours count as days. */
function dayAfter(date: string): number {
  const day = new Date(`${date}T00:00`);
  return day.setDate(day.getDate() + 1);
}

function paramsOf({ text, from, to }: CastSearch): Params<'cast.list'> {
  const fromMs = from === '' ? Number.NaN : new Date(`${from}T00:00`).getTime();
  const toMs = to === '' ? Number.NaN : dayAfter(to);
  return {
    ...(text.trim() === '' ? {} : { search: text.trim() }),
    ...(Number.isNaN(fromMs) ? {} : { from: fromMs }),
    ...(Number.isNaN(toMs) ? {} : { to: toMs }),
  };
}
