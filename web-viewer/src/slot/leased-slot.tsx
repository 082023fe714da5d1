// A slot in use: its live terminal, or a moment before now while the live one goes on, beside its commands and above its timeline.
import { useCallback, useMemo, useState } from 'preact/hooks';
import type { SlotInfo } from '../../../client/index.ts';
import { useCast } from '../cast/use-cast.ts';
import { commandAt, commandsOf, timelineMarksOf } from '../command/command.ts';
import { CommandList } from '../command/command-list.tsx';
import { useApp } from '../context.ts';
import { useKeys } from '../keyboard/use-keys.ts';
import { useStore } from '../store.ts';
import { useNow } from '../text/now.ts';
import { clock, count } from '../text/time.ts';
import { isCommandMark, neighbour } from '../timeline/tick.ts';
import { Timeline } from '../timeline/timeline.tsx';
import { Driving } from './driving.tsx';
import { SlotHead } from './slot-head.tsx';
import { Stage } from './stage.tsx';
import { Strip } from './strip.tsx';
import { useRewind } from './use-rewind.ts';

export interface LeasedSlotProps {
  readonly info: SlotInfo;
  readonly cast: string;
}

export function LeasedSlot({ info, cast }: LeasedSlotProps) {
  const { gateway } = useApp();
  const link = useStore(gateway.link);
  // Every message about the slot is another object.
  const known = useCast(cast, link.kind === 'connected' ? info : null);
  useNow();
  const [isDriving, drive] = useState(false);
  const rewind = useRewind(cast, known);
  const markers = known.info?.markers;
  const commands = useMemo(() => commandsOf(markers ?? []), [markers]);
  const marks = useMemo(() => timelineMarksOf(markers ?? []), [markers]);
  const liveTime = known.liveTime();
  const time = rewind.time ?? liveTime;
  const seek = useCallback(
    (to: number) => {
      // Who drives sees what is now.
      if (isDriving) return;
      // The end of the line is now.
      if (to >= known.liveTime() - 0.5) rewind.goLive();
      else rewind.seek(to);
    },
    [rewind, known, isDriving],
  );
  useRewindKeys({ rewind, time, seek, marks });
  const current = rewind.time === null ? null : (commandAt(commands, rewind.time)?.seq ?? null);
  return (
    <div class="slot-page">
      <SlotHead
        info={info}
        cast={cast}
        isDriving={isDriving}
        drive={() => {
          rewind.goLive();
          drive(true);
        }}
      />
      <div class="slot-body">
        <div class="slot-main with-strip">
          {isDriving ? (
            <Driving info={info} stop={() => drive(false)} />
          ) : (
            <>
              <Strip
                info={info}
                rewind={rewind}
                liveTime={liveTime}
                isAway={link.kind !== 'connected'}
                newest={commands.findLast(({ outcome }) => outcome === 'running') ?? commands.at(-1)}
              />
              <Stage slot={info.slot} rewind={rewind} />
            </>
          )}
          <div class="transport">
            {rewind.time !== null && (
              <button
                type="button"
                class="play"
                aria-label={rewind.isPlaying ? 'Pause' : 'Play'}
                onClick={rewind.togglePlay}
              >
                {rewind.isPlaying ? '❚❚' : '▶'}
              </button>
            )}
            <span class="moment">{clock(time)}</span>
            <Timeline duration={liveTime} time={time} marks={marks} isLive={rewind.time === null} seek={seek} />
            <button
              type="button"
              class={rewind.time === null ? 'live-button on' : 'live-button'}
              aria-pressed={rewind.time === null}
              onClick={rewind.goLive}
              title="Back to live (l)"
            >
              <i aria-hidden="true" /> LIVE
            </button>
          </div>
        </div>
        <aside class="slot-side" aria-label="Activity">
          <h2>
            Activity <span class="hint">{count(commands.length, 'command')}</span>
          </h2>
          <div class="slot-side-list">
            <CommandList
              cast={cast}
              commands={commands}
              newestFirst
              current={current}
              liveTime={liveTime}
              go={(to) => seek(to)}
            />
          </div>
        </aside>
      </div>
    </div>
  );
}

interface RewindKeys {
  readonly rewind: ReturnType<typeof useRewind>;
  readonly time: number;
  readonly seek: (time: number) => void;
  readonly marks: Parameters<typeof neighbour>[0];
}

function useRewindKeys({ rewind, time, seek, marks }: RewindKeys): void {
  const group = 'Slot';
  const commandMarks = marks.filter(isCommandMark);
  const toMark = (step: 1 | -1): void => {
    const mark = neighbour(commandMarks, time, step);
    if (mark !== undefined) seek(mark.time);
    else if (step === 1) rewind.goLive();
  };
  const by = (seconds: number): void => seek(Math.max(0, time + seconds));
  useKeys([
    { keys: ['['], says: 'command before', group, run: () => toMark(-1) },
    { keys: [']'], says: 'command after', group, run: () => toMark(1) },
    { keys: ['ArrowLeft'], says: 'back 5 s (with shift 60 s)', group, run: ({ shiftKey }) => by(shiftKey ? -60 : -5) },
    { keys: ['ArrowRight'], says: 'on 5 s (with shift 60 s)', group, run: ({ shiftKey }) => by(shiftKey ? 60 : 5) },
    { keys: ['l'], says: 'back to live', group, run: () => rewind.goLive() },
    { keys: [' '], says: 'pause or play the rewind', group, run: () => rewind.onSpace() },
  ]);
}
