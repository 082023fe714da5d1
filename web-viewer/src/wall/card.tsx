// One slot on the wall. Its height is fixed, so that nothing that happens in a slot moves another one.
import type { SlotInfo } from '../../../client/index.ts';
import { Badge } from '../command/badge.tsx';
import { useNow } from '../text/now.ts';
import { count, runningSpan } from '../text/time.ts';
import { visible } from '../text/visible.ts';
import { Preview } from './preview.tsx';

export function Card({ slot }: { readonly slot: SlotInfo }) {
  const label = slot.label === null || slot.label === '' ? null : visible(slot.label);
  return (
    <li class="card-place">
      <a class={`card ${slot.state}`} href={`/slot/${encodeURIComponent(slot.slot)}`} aria-label={nameOf(slot, label)}>
        <header>
          <i class={`dot ${dotOf(slot)}`} aria-hidden="true" />
          <b class="slot-name">{slot.slot}</b>
          <span class="label" title={label ?? undefined}>
            {label ?? ''}
          </span>
          {slot.state !== 'leased' && <span class={`tag ${slot.state}`}>{slot.state}</span>}
          {slot.takenOver && (
            <span class="tag away" title="Somebody drives it in place of its agent, which waits">
              taken over
            </span>
          )}
          {slot.state === 'leased' && !slot.connected && (
            <span class="tag away" title="The connection that drives it is lost; the lease waits for it">
              away
            </span>
          )}
          {slot.viewers > 0 && (
            <span class="viewers" title={count(slot.viewers, 'viewer')}>
              <svg viewBox="0 0 16 16" aria-hidden="true">
                <path d="M1 8s2.6-4.5 7-4.5S15 8 15 8s-2.6 4.5-7 4.5S1 8 1 8z" />
                <circle cx="8" cy="8" r="2" />
              </svg>
              {slot.viewers}
            </span>
          )}
        </header>
        {slot.state === 'failed' ? (
          <p class="reason">{visible(slot.reason ?? 'It failed, and did not say why.')}</p>
        ) : (
          <Preview slot={slot.slot} />
        )}
        <footer>
          <Doing slot={slot} />
        </footer>
      </a>
    </li>
  );
}

/** What runs and for how long, else how the last command ended. */
function Doing({ slot }: { readonly slot: SlotInfo }) {
  const isRunning = slot.running !== null;
  const now = useNow(isRunning || slot.since !== null);
  if (slot.running !== null) {
    const sinceMs = slot.runningSince;
    return (
      <>
        <Badge outcome="running" exitCode={null} />
        <code class="command">{visible(slot.running, 200)}</code>
        {slot.processes > 1 && <span class="more">+{slot.processes - 1}</span>}
        {sinceMs !== null && <time>{runningSpan(now - sinceMs)}</time>}
      </>
    );
  }
  const { last } = slot;
  if (last !== null) {
    return (
      <>
        <Badge {...last} />
        <code class="command">{visible(last.command, 200)}</code>
        <time>{runningSpan(now - last.endedAt)} ago</time>
      </>
    );
  }
  return (
    <>
      <span class="quiet-text">{slot.state === 'leased' ? 'no command yet' : slot.state}</span>
      {slot.since !== null && <time>{runningSpan(now - slot.since)}</time>}
    </>
  );
}

const dotOf = (slot: SlotInfo): string =>
  slot.state === 'leased' ? (slot.processes > 0 ? 'running' : 'leased') : slot.state;

function nameOf(slot: SlotInfo, label: string | null): string {
  const doing = slot.running === null ? slot.state : `runs ${visible(slot.running, 80)}`;
  return [slot.slot, label, doing].filter((part) => part !== null).join(', ');
}
