// The line above a recording: whose it is, when it was, and the ways to take it along.
import { useApp } from '../context.ts';
import { CopyButton } from '../copy.tsx';
import { momentHash } from '../route.ts';
import { Share } from '../session/share.tsx';
import { useNow } from '../text/now.ts';
import { count, dateTime, size, span } from '../text/time.ts';
import { visible } from '../text/visible.ts';
import { screenText } from './screen-text.ts';
import type { CastDetail } from './use-cast.ts';

export interface CastHeadProps {
  readonly info: CastDetail;
  readonly time: number;
  readonly isWide: boolean;
  readonly widen: () => void;
}

export function CastHead({ info, time, isWide, widen }: CastHeadProps) {
  const { gateway } = useApp();
  const now = useNow(false);
  const path = `/cast/${encodeURIComponent(info.cast)}`;
  const link = (): string => `${location.origin}${path}${momentHash(time)}`;
  const text = async (): Promise<string> => screenText(await gateway.client(), info.cast, time);
  return (
    <header class="page-head">
      <a class="up" href="/casts" aria-label="To the recordings">
        ‹
      </a>
      <h1>{info.slot}</h1>
      {info.label !== null && info.label !== '' && <span class="label">{visible(info.label)}</span>}
      {info.live && (
        <a class="tag live" href={`/slot/${encodeURIComponent(info.slot)}`}>
          goes on
        </a>
      )}
      <span class="facts">
        <span>{dateTime(info.startedAt, now)}</span>
        <span>{span(info.duration * 1000)}</span>
        <span>{count(info.commands, 'command')}</span>
        <span>
          {info.cols}×{info.rows}
        </span>
        <span>{size(info.bytes)}</span>
      </span>
      <span class="fill" />
      <CopyButton text={text} label="Copy screen" />
      <CopyButton text={link} label="Copy link to moment" />
      <details class="menu">
        <summary class="button">Download</summary>
        <div class="menu-list">
          <a class="menu-item" download href={`/casts/${encodeURIComponent(info.cast)}.cast`}>
            asciicast v3 <span class="hint">asciinema 3</span>
          </a>
          <a class="menu-item" download href={`/casts/${encodeURIComponent(info.cast)}.cast?format=v2`}>
            asciicast v2 <span class="hint">older players</span>
          </a>
          <a class="menu-item" download href={`/casts/${encodeURIComponent(info.cast)}.cast?format=txt`}>
            Plain text
          </a>
        </div>
      </details>
      <Share target={{ cast: info.cast }} path={`${path}${momentHash(time)}`} />
      <button type="button" class="wide-button" aria-pressed={isWide} onClick={widen}>
        {isWide ? 'Show chapters' : 'Hide chapters'}
      </button>
    </header>
  );
}
