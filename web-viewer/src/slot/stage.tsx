// The terminal of a slot: live, or rewound above the live one, which goes on underneath.
import { useMemo, useState } from 'preact/hooks';
import type { PlayerSource } from '../player/player.ts';
import { Screen } from '../player/screen.tsx';
import { clock } from '../text/time.ts';
import type { Rewind } from './use-rewind.ts';

export interface StageProps {
  readonly slot: string;
  readonly rewind: Rewind;
}

export function Stage({ slot, rewind }: StageProps) {
  const live = useMemo<PlayerSource>(() => ({ kind: 'live', slot }), [slot]);
  const [isThere, setThere] = useState(false);
  const { source, time } = rewind;
  return (
    <div class={source === null ? 'stage-frame' : 'stage-frame rewound'}>
      <div class="layer" aria-hidden={source !== null}>
        <Screen source={live} label={`Live terminal of ${slot}`} ready={() => setThere(true)} />
      </div>
      {source !== null && (
        <div class="layer">
          <Screen
            source={source}
            label={`Terminal of ${slot} at ${clock(time ?? 0)}`}
            hold={rewind.hold}
            playing={rewind.onPlaying}
            ended={rewind.onEnded}
          />
        </div>
      )}
      {!isThere && source === null && <p class="screen-wait">Waiting for the terminal…</p>}
    </div>
  );
}
