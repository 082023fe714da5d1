// What stands on the wall when there is nothing to see: the next step, in words and as a command to copy.
import type { SlotInfo } from '../../../client/index.ts';
import { Copy } from '../copy.tsx';
import { count } from '../text/time.ts';
import { compareNames } from './order.ts';

export function NothingRuns() {
  return (
    <div class="empty">
      <h1>No slot is in use</h1>
      <p>An agent leases one by connecting to this gateway. To see one at work now, run in the clone:</p>
      <Copy text="npm run -s slotcast -- exec new -- bash -c 'for i in 1 2 3; do date; sleep 1; done'" />
      <p class="hint">
        What ran before is in the <a href="/casts">recordings</a>.
      </p>
    </div>
  );
}

export function NoSlots() {
  return (
    <div class="empty">
      <h1>There are no slots to see</h1>
      <p>Either the gateway has none, or this sign-in is for one that is not there. Start it with more:</p>
      <Copy text="npm start -- --slots 8" />
    </div>
  );
}

export function FreeLine({ slots }: { readonly slots: readonly SlotInfo[] }) {
  return (
    <details class="free-line">
      <summary>
        <i class="dot free" aria-hidden="true" /> {count(slots.length, 'free slot')}
      </summary>
      <p>
        {slots.toSorted(compareNames).map(({ slot }) => (
          <a key={slot} href={`/slot/${encodeURIComponent(slot)}`}>
            {slot}
          </a>
        ))}
      </p>
    </details>
  );
}
