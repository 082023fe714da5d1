// A recording: played, searched by its commands, and handed on.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { Fault } from '../../../client/index.ts';
import { commandAt, commandsOf, timelineMarksOf } from '../command/command.ts';
import { CommandList } from '../command/command-list.tsx';
import { useApp } from '../context.ts';
import { Screen } from '../player/screen.tsx';
import { clock, count } from '../text/time.ts';
import { Timeline } from '../timeline/timeline.tsx';
import { CastHead } from './cast-head.tsx';
import { PlaybackBar } from './playback-bar.tsx';
import { useCast } from './use-cast.ts';
import { usePlayback } from './use-playback.ts';
import { usePlaybackKeys } from './use-playback-keys.ts';

export interface CastPageProps {
  readonly cast: string;
  /** Seconds, from the address. */
  readonly time: number | null;
}

export function CastPage({ cast, time: asked }: CastPageProps) {
  const { router } = useApp();
  const known = useCast(cast);
  const { info, problem } = known;
  const playback = usePlayback(info, asked ?? 0);
  const commands = useMemo(() => commandsOf(info?.markers ?? []), [info]);
  const marks = useMemo(() => timelineMarksOf(info?.markers ?? []), [info]);
  usePlaybackKeys(playback, marks);
  // A link to another moment of this recording, or a step back, goes there.
  const seen = useRef(asked);
  useEffect(() => {
    if (asked !== null && asked !== seen.current) playback.seek(asked);
    seen.current = asked;
  });
  const [isWide, widen] = useState(false);
  if (problem !== null && info === null) return <NoCast cast={cast} problem={problem} />;
  if (info === null) return <div class="slot-page" aria-busy="true" />;
  const current = commandAt(commands, playback.time);
  const go = (to: number): void => {
    playback.seek(to);
    router.mark(to);
  };
  return (
    <div class={isWide ? 'slot-page wide' : 'slot-page'}>
      <CastHead info={info} time={playback.time} widen={() => widen(!isWide)} isWide={isWide} />
      <div class="slot-body">
        <div class="slot-main">
          <div class="stage-frame">
            <div class="layer">
              <Screen
                source={playback.source}
                label={`Recording of ${info.slot} at ${clock(playback.time)}`}
                hold={playback.hold}
                playing={playback.onPlaying}
                ended={playback.onEnded}
              />
            </div>
          </div>
          <div class="transport">
            <button
              type="button"
              class="play"
              aria-label={playback.isPlaying ? 'Pause' : 'Play'}
              onClick={playback.togglePlay}
            >
              {playback.isPlaying ? '❚❚' : '▶'}
            </button>
            <span class="moment">
              {clock(playback.time)} <span class="hint">/ {clock(info.duration)}</span>
            </span>
            <Timeline duration={info.duration} time={playback.time} marks={marks} isLive={false} seek={go} />
            <PlaybackBar playback={playback} />
          </div>
        </div>
        <aside class="slot-side" aria-label="Commands">
          <h2>
            Chapters <span class="hint">{count(commands.length, 'command')}</span>
          </h2>
          <div class="slot-side-list">
            <CommandList
              cast={cast}
              commands={commands}
              newestFirst={false}
              current={current?.seq ?? null}
              liveTime={info.live ? known.liveTime() : null}
              go={go}
            />
          </div>
        </aside>
      </div>
    </div>
  );
}

function NoCast({ cast, problem }: { readonly cast: string; readonly problem: Error }) {
  const isGone = problem instanceof Fault && (problem.fault === 'CAST_NOT_FOUND' || problem.fault === 'INVALID_PARAMS');
  return (
    <div class="empty">
      <h1>{isGone ? 'There is no such recording' : 'This recording can’t be shown'}</h1>
      {isGone ? (
        <p>
          It may have been deleted to make room. <a href="/casts">To those that are there</a>.
        </p>
      ) : (
        <>
          <p class="problem">{problem.message}</p>
          <p>
            What is in it may still be downloaded: <a href={`/casts/${encodeURIComponent(cast)}.cast`}>the file</a>.
          </p>
        </>
      )}
    </div>
  );
}
