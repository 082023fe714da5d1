// One slot: its terminal as it lives, what runs in it, and its lease as a line that can be gone back on.
import { useApp } from '../context.ts';
import { useStore } from '../store.ts';
import { LeasedSlot } from './leased-slot.tsx';
import { FreeSlot, NoSuchSlot } from './other-state.tsx';

export function SlotPage({ slot }: { readonly slot: string }) {
  const { gateway } = useApp();
  const slots = useStore(gateway.slots);
  if (slots === null) return <div class="slot-page" aria-busy="true" />;
  const info = slots.find((known) => known.slot === slot);
  if (info === undefined) return <NoSuchSlot slot={slot} />;
  if (info.cast === null) return <FreeSlot info={info} />;
  // Another lease is another recording: nothing of the one before may stay.
  return <LeasedSlot key={info.cast} info={info} cast={info.cast} />;
}
