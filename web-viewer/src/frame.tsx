// The frame around every view: the bar on top, the view that the address names, help and messages.
import { useState } from 'preact/hooks';
import { Bar } from './bar.tsx';
import { CastList } from './cast/cast-list.tsx';
import { CastPage } from './cast/cast-page.tsx';
import { useApp } from './context.ts';
import { Help } from './keyboard/help.tsx';
import { useKeys } from './keyboard/use-keys.ts';
import { NoteList } from './note.tsx';
import type { Route } from './route.ts';
import { SignIn } from './session/sign-in.tsx';
import { SlotPage } from './slot/slot-page.tsx';
import { useStore } from './store.ts';
import { Wall } from './wall/wall.tsx';

export function Frame() {
  const { gateway, router, keyboard, theme, notes } = useApp();
  const route = useStore(router.route);
  const link = useStore(gateway.link);
  const [help, showHelp] = useState(false);
  const ways: Ways = { closeHelp: () => showHelp(false), go: (to) => router.go(to) };
  useKeys([
    { keys: ['?'], says: 'this help', run: () => showHelp(!help) },
    { keys: ['t'], says: 'theme: as the system, dark, light', run: () => theme.next() },
    { keys: ['w'], says: 'to the wall', run: () => router.go({ page: 'wall' }) },
    { keys: ['c'], says: 'to the recordings', run: () => router.go({ page: 'casts' }) },
    { keys: ['Escape'], says: 'back', run: () => back(route, help, ways) },
  ]);
  return (
    <>
      <Bar openHelp={() => showHelp(true)} />
      <main>{link.kind === 'signedOut' ? <SignIn reason={link.reason} /> : <View route={route} />}</main>
      {help && <Help bindings={keyboard.bindings} close={() => showHelp(false)} />}
      <NoteList notes={notes} />
    </>
  );
}

function View({ route }: { readonly route: Route }) {
  if (route.page === 'wall') return <Wall />;
  if (route.page === 'slot') return <SlotPage key={route.slot} slot={route.slot} />;
  if (route.page === 'casts') return <CastList />;
  if (route.page === 'cast') return <CastPage key={route.cast} cast={route.cast} time={route.time} />;
  return (
    <div class="empty">
      <h1>There is nothing at this address</h1>
      <p>
        <a href="/">To the wall</a> or to the <a href="/casts">recordings</a>.
      </p>
    </div>
  );
}

interface Ways {
  readonly closeHelp: () => void;
  readonly go: (route: Route) => void;
}

/** Out of a field first, then out of the help, then one level up. */
function back(route: Route, help: boolean, { closeHelp, go }: Ways): unknown {
  const focused = document.activeElement;
  if (focused instanceof HTMLInputElement) return focused.blur();
  if (help) return closeHelp();
  if (document.querySelector('dialog[open], details[open].menu') !== null) return false;
  if (route.page === 'wall') return false;
  return go(route.page === 'cast' ? { page: 'casts' } : { page: 'wall' });
}
