// The bar on top: where one is, how many slots do what, and whether the gateway is there.
import { useApp } from './context.ts';
import type { Link } from './gateway/gateway.ts';
import { SessionMenu } from './session/session-menu.tsx';
import { useStore } from './store.ts';
import { useNow } from './text/now.ts';
import { runningSpan } from './text/time.ts';

export function Bar({ openHelp }: { readonly openHelp: () => void }) {
  const { gateway, router, theme } = useApp();
  const link = useStore(gateway.link);
  const route = useStore(router.route);
  const choice = useStore(theme.choice);
  const room = { wall: 'wall', slot: 'wall', casts: 'casts', cast: 'casts', nowhere: null }[route.page];
  return (
    <header class="bar">
      <a class="brand" href="/" aria-label="slotcast, to the wall">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <path d="M7 9l7 7-7 7" />
          <circle cx="22" cy="22" r="4" />
        </svg>
        <b>slotcast</b>
      </a>
      <nav aria-label="Views">
        <a class="bar-view" href="/" aria-current={room === 'wall' ? 'page' : undefined}>
          Wall
        </a>
        <a class="bar-view" href="/casts" aria-current={room === 'casts' ? 'page' : undefined}>
          Recordings
        </a>
      </nav>
      {link.kind !== 'signedOut' && <Counts />}
      <span class="fill" />
      <LinkState link={link} />
      <button type="button" class="quiet" onClick={() => theme.next()} title="Theme (t)">
        {choice === 'system' ? 'Auto' : choice === 'dark' ? 'Dark' : 'Light'}
      </button>
      <button type="button" class="quiet" onClick={openHelp} aria-label="Keyboard help" title="Keyboard (?)">
        ?
      </button>
      {link.kind !== 'signedOut' && <SessionMenu />}
    </header>
  );
}

function Counts() {
  const slots = useStore(useApp().gateway.slots);
  if (slots === null) return null;
  const number = (state: string): number => slots.filter((slot) => slot.state === state).length;
  const [leased, free, failed] = [number('leased'), number('free'), number('failed')];
  return (
    <p class="counts" aria-live="polite">
      <span>
        <i class="dot leased" aria-hidden="true" /> <b>{leased}</b> leased
      </span>
      <span>
        <i class="dot free" aria-hidden="true" /> <b>{free}</b> free
      </span>
      {failed > 0 && (
        <span class="failed">
          <i class="dot failed" aria-hidden="true" /> <b>{failed}</b> failed
        </span>
      )}
    </p>
  );
}

function LinkState({ link }: { readonly link: Link }) {
  const now = useNow(link.kind === 'reconnecting');
  const text =
    link.kind === 'connected'
      ? 'live'
      : link.kind === 'reconnecting'
        ? `reconnecting, ${runningSpan(now - link.sinceMs)}`
        : link.kind === 'connecting'
          ? 'connecting'
          : 'signed out';
  return (
    <span class={`link ${link.kind}`} role="status">
      <i aria-hidden="true" />
      {text}
    </span>
  );
}
