// The recordings: newest first, searched by what is known of them, a page at a time.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { CastInfo } from '../../../client/index.ts';
import { Copy } from '../copy.tsx';
import { useKeys } from '../keyboard/use-keys.ts';
import { useNow } from '../text/now.ts';
import { count } from '../text/time.ts';
import { CastRow } from './cast-row.tsx';
import { type CastSearch, useCastSearch } from './use-cast-search.ts';

export function CastList() {
  const [search, setSearch] = useState<CastSearch>({ text: '', from: '', to: '' });
  const { casts, hasMore, isBusy, problem, more } = useCastSearch(search);
  const now = useNow();
  const field = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const move = (step: 1 | -1): void => {
    const rows = [...(list.current?.querySelectorAll<HTMLElement>('a.cast') ?? [])];
    const at = rows.findIndex((row) => row.matches(':focus'));
    rows[at === -1 ? 0 : at + step]?.focus();
  };
  useKeys([
    { keys: ['/'], says: 'search', group: 'Recordings', run: () => field.current?.focus() },
    { keys: ['j', 'ArrowDown'], says: 'next recording', group: 'Recordings', run: () => move(1) },
    { keys: ['k', 'ArrowUp'], says: 'previous recording', group: 'Recordings', run: () => move(-1) },
    { keys: ['Enter'], says: 'open it', group: 'Recordings', run: () => false },
  ]);
  const isFiltered = search.text !== '' || search.from !== '' || search.to !== '';
  return (
    <section class="casts" aria-label="Recordings">
      <div class="tools">
        <input
          ref={field}
          type="search"
          placeholder="Search slot, label, commands…  /"
          aria-label="Search the recordings"
          value={search.text}
          onInput={(event) => setSearch({ ...search, text: event.currentTarget.value })}
        />
        <DateField label="from" value={search.from} set={(from) => setSearch({ ...search, from })} />
        <DateField label="to" value={search.to} set={(to) => setSearch({ ...search, to })} />
        <span class="hint" aria-live="polite">
          {casts !== null && !isBusy && `${count(casts.length, 'recording')}${hasMore ? ' so far' : ''}`}
        </span>
      </div>
      {problem !== null && (
        <p class="problem" role="alert">
          {problem.message}
        </p>
      )}
      {casts?.length === 0 && !isBusy && (isFiltered ? <NothingFound /> : <NothingRecorded />)}
      <ul class="cast-list" ref={list} aria-busy={isBusy}>
        {(casts ?? []).map((cast: CastInfo) => (
          <CastRow key={cast.cast} cast={cast} now={now} />
        ))}
      </ul>
      {hasMore && <More more={more} isBusy={isBusy} isAutomatic={problem === null} />}
    </section>
  );
}

interface DateFieldProps {
  readonly label: string;
  readonly value: string;
  readonly set: (value: string) => void;
}

function DateField({ label, value, set }: DateFieldProps) {
  return (
    <label class="date">
      {label} <input type="date" value={value} onInput={(event) => set(event.currentTarget.value)} />
    </label>
  );
}

interface MoreProps {
  readonly more: () => void;
  readonly isBusy: boolean;
  /** After a failure somebody has to press it. */
  readonly isAutomatic: boolean;
}

/** Asks for the next page when it comes into sight. */
function More({ more, isBusy, isAutomatic }: MoreProps) {
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (button.current === null || isBusy || !isAutomatic) return;
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting === true && more(), {
      rootMargin: '400px',
    });
    observer.observe(button.current);
    return () => observer.disconnect();
  }, [more, isBusy, isAutomatic]);
  return (
    <button ref={button} type="button" class="more-button" disabled={isBusy} onClick={more}>
      {isBusy ? 'Loading…' : 'Show more'}
    </button>
  );
}

const NothingFound = () => (
  <div class="empty">
    <h1>No recording fits</h1>
    <p>Search looks at slots, labels and the first line of each command. Try fewer words, or other dates.</p>
  </div>
);

const NothingRecorded = () => (
  <div class="empty">
    <h1>Nothing is recorded yet</h1>
    <p>Every lease is recorded from its start to its end. To make a first one, run in the clone:</p>
    <Copy text="npm run -s slotcast -- exec new -- bash -c 'uname -a; ls /'" />
  </div>
);
