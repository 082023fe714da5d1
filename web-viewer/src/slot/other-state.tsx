// A slot without a lease: why there is no terminal, and the next step.
import { useEffect, useState } from 'preact/hooks';
import type { CastInfo, SlotInfo } from '../../../client/index.ts';
import { useApp } from '../context.ts';
import { Copy } from '../copy.tsx';
import { useStore } from '../store.ts';
import { useNow } from '../text/now.ts';
import { count, dateTime } from '../text/time.ts';
import { visible } from '../text/visible.ts';

export function NoSuchSlot({ slot }: { readonly slot: string }) {
  return (
    <div class="empty">
      <h1>There is no slot {visible(slot, 64)}</h1>
      <p>
        It may have been on a gateway with more of them. <a href="/">To the wall</a>.
      </p>
    </div>
  );
}

export function FreeSlot({ info }: { readonly info: SlotInfo }) {
  return (
    <div class="empty">
      <h1>
        {info.slot} is {info.state}
      </h1>
      {info.state === 'failed' ? (
        <>
          <p class="problem">{visible(info.reason ?? 'It did not say why.')}</p>
          <Retry slot={info.slot} />
        </>
      ) : (
        <>
          <p>Its terminal shows here as soon as somebody leases it. To do that from a shell in the clone:</p>
          <Copy text={`npm run -s slotcast -- exec ${info.slot} -- bash -c 'date; ls -la'`} />
        </>
      )}
      <Before slot={info.slot} />
    </div>
  );
}

/** An admin gives it another chance. */
function Retry({ slot }: { readonly slot: string }) {
  const { gateway, notes } = useApp();
  const session = useStore(gateway.session);
  if (session?.role !== 'admin') return <p>An admin can give it another chance here.</p>;
  const reset = async (): Promise<void> => {
    const client = await gateway.client();
    await client.call('slot.reset', { slot });
  };
  return (
    <button type="button" onClick={() => reset().catch((error: unknown) => notes.problem(error))}>
      Reset it
    </button>
  );
}

/** What was in it before. */
function Before({ slot }: { readonly slot: string }) {
  const { gateway } = useApp();
  const now = useNow(false);
  const [casts, setCasts] = useState<readonly CastInfo[]>([]);
  useEffect(() => {
    let isOver = false;
    gateway
      .client()
      .then((client) => client.cast.list({ slot, limit: 5 }))
      .then(
        (list) => isOver || setCasts(list),
        () => {},
      );
    return () => {
      isOver = true;
    };
  }, [gateway, slot]);
  if (casts.length === 0) return null;
  return (
    <section class="before">
      <h2>Its last recordings</h2>
      <ul>
        {casts.map((cast) => (
          <li key={cast.cast}>
            <a href={`/cast/${encodeURIComponent(cast.cast)}`}>{dateTime(cast.startedAt, now)}</a>{' '}
            {visible(cast.label ?? '')} <span class="hint">{count(cast.commands, 'command')}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
