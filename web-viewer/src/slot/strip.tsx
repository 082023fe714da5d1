// The strip above a slot's terminal: what runs now, or that what is shown is not now. Always there, so that the terminal never moves.
import type { SlotInfo } from '../../../client/index.ts';
import { Badge } from '../command/badge.tsx';
import type { Command } from '../command/command.ts';
import { clock, runningSpan, span } from '../text/time.ts';
import { visible } from '../text/visible.ts';
import type { Rewind } from './use-rewind.ts';

export interface StripProps {
  readonly info: SlotInfo;
  readonly rewind: Rewind;
  readonly liveTime: number;
  readonly isAway: boolean;
  readonly newest: Command | undefined;
}

export function Strip({ info, rewind, liveTime, isAway, newest }: StripProps) {
  if (rewind.time !== null) {
    return (
      <div class="strip rewind" role="status">
        <b>REWIND {clock(rewind.time)}</b>
        <span>live goes on, {runningSpan((liveTime - rewind.time) * 1000)} ahead</span>
        <button type="button" onClick={rewind.goLive}>
          Back to live <kbd>l</kbd>
        </button>
      </div>
    );
  }
  if (isAway) {
    return (
      <div class="strip away" role="status">
        <b>Reconnecting</b>
        <span>The gateway does not answer. This is what was seen last; it comes back by itself.</span>
      </div>
    );
  }
  const title = visible(info.terminal?.title ?? '', 120);
  return (
    <div class="strip">
      {newest === undefined ? (
        <span>No command yet</span>
      ) : (
        <>
          <Badge {...newest} />
          <code>{visible(newest.command, 300)}</code>
          <span class="strip-time">
            {newest.durationMs === null ? runningSpan((liveTime - newest.time) * 1000) : span(newest.durationMs)}
          </span>
        </>
      )}
      {title !== '' && (
        <span class="title" title="What the terminal calls itself">
          {title}
        </span>
      )}
    </div>
  );
}
