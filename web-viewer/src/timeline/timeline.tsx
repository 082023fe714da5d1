// A recording as a line: where one is, where commands began and how they ended. Dragged, clicked or moved by keys; it plays nothing itself.
import { useRef, useState } from 'preact/hooks';
import { clock } from '../text/time.ts';
import { visible } from '../text/visible.ts';
import { type Tick, type TimelineMark, ticksOf } from './tick.ts';

export interface TimelineProps {
  /** Seconds. */
  readonly duration: number;
  readonly time: number;
  readonly marks: readonly TimelineMark[];
  /** Whether the right end is now. */
  readonly isLive: boolean;
  readonly seek: (time: number) => void;
}

const STEP_S = 5;
const LEAP_S = 60;

export function Timeline({ duration, time, marks, isLive, seek }: TimelineProps) {
  const line = useRef<HTMLDivElement>(null);
  const [hover, setHover] = useState<number | null>(null);
  const timeAt = (event: PointerEvent): number => {
    const box = line.current?.getBoundingClientRect();
    if (box === undefined || box.width === 0) return 0;
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * duration;
  };
  const drag = (event: PointerEvent): void => {
    setHover(timeAt(event));
    if (line.current?.hasPointerCapture(event.pointerId)) seek(timeAt(event));
  };
  const place = (at: number): string => `${duration === 0 ? 100 : Math.min(100, (at / duration) * 100)}%`;
  const ticks = ticksOf(marks, duration);
  return (
    <div
      ref={line}
      class="timeline"
      role="slider"
      tabIndex={0}
      aria-label="Moment of the recording"
      aria-valuemin={0}
      aria-valuemax={Math.floor(duration)}
      aria-valuenow={Math.floor(time)}
      aria-valuetext={isLive ? 'live' : `${clock(time)} of ${clock(duration)}`}
      onPointerDown={(event) => {
        line.current?.setPointerCapture(event.pointerId);
        seek(timeAt(event));
      }}
      onPointerMove={drag}
      onPointerLeave={() => setHover(null)}
      onKeyDown={(event) => {
        const to = keyTarget(event, time, duration);
        if (to === null) return;
        event.preventDefault();
        seek(to);
      }}
    >
      <div class="timeline-rail">
        <div class="timeline-done" style={{ width: place(time) }} />
      </div>
      {ticks.map((tick) => (
        <i key={tick.at} class={`tick ${tick.kind}`} style={{ left: place(tick.at) }} />
      ))}
      <div class={isLive ? 'timeline-head live' : 'timeline-head'} style={{ left: place(time) }} />
      {hover !== null && <Tip time={hover} left={place(hover)} tick={nearest(ticks, hover, duration)} />}
    </div>
  );
}

function Tip({ time, left, tick }: { readonly time: number; readonly left: string; readonly tick: Tick | null }) {
  return (
    <div class="tip" style={{ left }} aria-hidden="true">
      <b>{clock(time)}</b>
      {tick !== null && <code>{visible(tick.label, 80)}</code>}
    </div>
  );
}

/** Within a hundredth of the line. */
function nearest(ticks: readonly Tick[], time: number, duration: number): Tick | null {
  let found: Tick | null = null;
  let distance = duration / 100;
  for (const tick of ticks) {
    const away = Math.abs(tick.at - time);
    if (away <= distance) [found, distance] = [tick, away];
  }
  return found;
}

function keyTarget(event: KeyboardEvent, time: number, duration: number): number | null {
  if (event.key === 'Home') return 0;
  if (event.key === 'End') return duration;
  if (event.key === 'PageUp') return Math.max(0, time - LEAP_S);
  if (event.key === 'PageDown') return Math.min(duration, time + LEAP_S);
  const step = event.shiftKey ? LEAP_S : STEP_S;
  if (event.key === 'ArrowLeft') return Math.max(0, time - step);
  return event.key === 'ArrowRight' ? Math.min(duration, time + step) : null;
}
