// One recording in the list.
import type { CastInfo } from '../../../client/index.ts';
import { count, dateTime, size, span } from '../text/time.ts';
import { visible } from '../text/visible.ts';

export function CastRow({ cast, now }: { readonly cast: CastInfo; readonly now: number }) {
  const { commands, failed = 0 } = cast;
  return (
    <li>
      <a class="cast" href={`/cast/${encodeURIComponent(cast.cast)}`}>
        <time dateTime={new Date(cast.startedAt).toISOString()}>{dateTime(cast.startedAt, now)}</time>
        <b class="slot-name">{cast.slot}</b>
        <span class="label">{visible(cast.label ?? '')}</span>
        {cast.live ? <span class="tag live">recording</span> : <span />}
        <span class="cast-outcome">
          {failed > 0 && (
            <span class="badge failed" title={`${count(failed, 'command')} failed`}>
              <i aria-hidden="true">✗</i> {failed}
              <span class="unseen"> failed</span>
            </span>
          )}
          {commands - failed > 0 && (
            <span class="badge ok" title={`${count(commands - failed, 'command')} without a failure`}>
              <i aria-hidden="true">✓</i> {commands - failed}
              <span class="unseen"> without a failure</span>
            </span>
          )}
          {commands === 0 && <span class="hint">no commands</span>}
        </span>
        <span class="number">{span(cast.duration * 1000)}</span>
        <span class="number hint">{size(cast.bytes)}</span>
      </a>
    </li>
  );
}
