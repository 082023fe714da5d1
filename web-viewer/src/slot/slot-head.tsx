// The line above a slot's terminal: its name and state, who drives it, and what can be done.
import type { SlotInfo } from '../../../client/index.ts';
import { useApp } from '../context.ts';
import { Share } from '../session/share.tsx';
import { useStore } from '../store.ts';
import { useNow } from '../text/now.ts';
import { count, runningSpan } from '../text/time.ts';
import { visible } from '../text/visible.ts';

export interface SlotHeadProps {
  readonly info: SlotInfo;
  readonly cast: string;
  readonly isDriving: boolean;
  readonly drive: () => void;
}

export function SlotHead({ info, cast, isDriving, drive }: SlotHeadProps) {
  const session = useStore(useApp().gateway.session);
  const now = useNow();
  const mayDrive = session !== null && session.role !== 'viewer';
  return (
    <header class="page-head">
      <a class="up" href="/" aria-label="To the wall">
        ‹
      </a>
      <h1>{info.slot}</h1>
      {info.label !== null && info.label !== '' && <span class="label">{visible(info.label)}</span>}
      <span class={`tag ${info.state}`}>{info.state}</span>
      {info.takenOver && !isDriving && (
        <span class="tag away" title="Somebody drives it in place of its agent, which waits">
          taken over
        </span>
      )}
      {info.state === 'leased' && !info.connected && <span class="tag away">nobody connected</span>}
      <span class="facts">
        {info.since !== null && <span>for {runningSpan(now - info.since)}</span>}
        {info.terminal !== null && (
          <span>
            {info.terminal.cols}×{info.terminal.rows}
          </span>
        )}
        <span>{count(info.viewers, 'viewer')}</span>
        <span>network {info.network}</span>
      </span>
      <span class="fill" />
      <a class="button" href={`/cast/${encodeURIComponent(cast)}`}>
        Recording
      </a>
      <Share target={{ slot: info.slot }} path={`/slot/${encodeURIComponent(info.slot)}`} />
      {mayDrive && !isDriving && (
        <button type="button" class="take-over" onClick={drive} disabled={info.state !== 'leased'}>
          Take over
        </button>
      )}
    </header>
  );
}
