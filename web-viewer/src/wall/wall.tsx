// The wall: every slot in use as a card with its live screen, free ones as a line. One connection for all of it.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { useApp } from '../context.ts';
import { useKeys } from '../keyboard/use-keys.ts';
import { useStore } from '../store.ts';
import { count } from '../text/time.ts';
import { readSetting, writeSetting } from '../theme.ts';
import { Card } from './card.tsx';
import { FreeLine, NoSlots, NothingRuns } from './empty.tsx';
import { useCardKeys } from './move.ts';
import { matches } from './order.ts';
import { useSteadyOrder } from './steady-order.ts';

const sizes = ['small', 'medium', 'large'] as const;
const SIZE_KEY = 'slotcast.wall-size';

export function Wall() {
  const { gateway } = useApp();
  const slots = useStore(gateway.slots);
  const [filter, setFilter] = useState('');
  const [size, setSize] = useState(sizes.find((known) => known === readSetting(SIZE_KEY)) ?? 'medium');
  const grid = useRef<HTMLUListElement>(null);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => gateway.screens.show(), [gateway]);
  useKeys([{ keys: ['/'], says: 'filter', group: 'Wall', run: () => field.current?.focus() }]);
  useCardKeys(grid);
  const used = useMemo(() => (slots ?? []).filter(({ state }) => state !== 'free'), [slots]);
  const free = useMemo(() => (slots ?? []).filter(({ state }) => state === 'free'), [slots]);
  const order = useSteadyOrder(used, grid);
  const shown = order.filter((slot) => matches(slot, filter));
  const choose = (next: (typeof sizes)[number]): void => {
    setSize(next);
    writeSetting(SIZE_KEY, next);
  };
  if (slots === null) return <WallSkeleton />;
  if (slots.length === 0) return <NoSlots />;
  return (
    <section class="wall" aria-label="Slots">
      <div class="tools">
        <input
          ref={field}
          type="search"
          placeholder="Filter by slot, label, command…  /"
          aria-label="Filter the slots"
          value={filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
          onKeyDown={(event) => event.key === 'Enter' && firstCard(grid.current)?.focus()}
        />
        <span class="hint" aria-live="polite">
          {filter !== '' && `${shown.length} of ${count(used.length, 'slot')}`}
        </span>
        <span class="fill" />
        <fieldset class="segmented">
          <legend class="unseen">Size of the cards</legend>
          {sizes.map((name) => (
            <button key={name} type="button" aria-pressed={name === size} onClick={() => choose(name)}>
              {name[0]?.toUpperCase()}
              <span class="unseen">{name.slice(1)}</span>
            </button>
          ))}
        </fieldset>
      </div>
      {used.length === 0 && <NothingRuns />}
      {used.length > 0 && shown.length === 0 && (
        <div class="empty">
          <h1>No slot fits “{filter}”</h1>
          <p>
            <button type="button" onClick={() => setFilter('')}>
              Show all {used.length}
            </button>
          </p>
        </div>
      )}
      <ul class={`cards ${size}`} ref={grid}>
        {shown.map((slot) => (
          <Card key={slot.slot} slot={slot} />
        ))}
      </ul>
      {free.length > 0 && <FreeLine slots={free} />}
    </section>
  );
}

const firstCard = (grid: HTMLElement | null): HTMLElement | null => grid?.querySelector<HTMLElement>('a.card') ?? null;

/** Holds the place, so that nothing jumps when the list comes. */
function WallSkeleton() {
  return (
    <section class="wall" aria-busy="true" aria-label="Slots">
      <div class="tools" />
      <ul class="cards medium" aria-hidden="true">
        {['a', 'b', 'c', 'd', 'e', 'f'].map((key) => (
          <li key={key} class="card-place skeleton" />
        ))}
      </ul>
    </section>
  );
}
