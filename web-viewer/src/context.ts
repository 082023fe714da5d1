// What every part of the page can reach: made once in main.tsx, passed down by Preact's context, never a global.
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Gateway } from './gateway/gateway.ts';
import type { Keyboard } from './keyboard/keyboard.ts';
import type { Notes } from './note.tsx';
import type { Router } from './route.ts';
import type { Ticks } from './text/ticks.ts';
import type { Theme } from './theme.ts';

export interface App {
  readonly gateway: Gateway;
  readonly router: Router;
  readonly keyboard: Keyboard;
  readonly theme: Theme;
  readonly ticks: Ticks;
  readonly notes: Notes;
}

const AppContext = createContext<App | null>(null);
export const AppProvider = AppContext.Provider;

export function useApp(): App {
  const app = useContext(AppContext);
  if (app === null) throw new Error('This part is drawn outside of the app.');
  return app;
}
