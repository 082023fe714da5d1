// Going from card to card by keys, as the cards stand on the screen.
import type { RefObject } from 'preact';
import { useKeys } from '../keyboard/use-keys.ts';

type Step = 'next' | 'previous' | 'down' | 'up';

export function useCardKeys(grid: RefObject<HTMLElement | null>): void {
  const move = (step: Step): void => {
    const cards = [...(grid.current?.querySelectorAll<HTMLElement>('a.card') ?? [])];
    target(cards, step)?.focus();
  };
  useKeys([
    { keys: ['j', 'ArrowRight'], says: 'next card', group: 'Wall', run: () => move('next') },
    { keys: ['k', 'ArrowLeft'], says: 'previous card', group: 'Wall', run: () => move('previous') },
    { keys: ['ArrowDown'], says: 'card below', group: 'Wall', run: () => move('down') },
    { keys: ['ArrowUp'], says: 'card above', group: 'Wall', run: () => move('up') },
    { keys: ['Enter'], says: 'open it', group: 'Wall', run: () => false },
  ]);
}

function target(cards: readonly HTMLElement[], step: Step): HTMLElement | undefined {
  const at = cards.findIndex((card) => card.matches(':focus'));
  const current = cards[at];
  if (current === undefined) return cards[0];
  if (step === 'next') return cards[at + 1];
  if (step === 'previous') return cards[at - 1];
  // Cards of one column have the same left edge.
  const column = cards.filter((card) => card.getBoundingClientRect().left === current.getBoundingClientRect().left);
  return column[column.indexOf(current) + (step === 'down' ? 1 : -1)];
}
