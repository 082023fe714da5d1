// A slot's screen in small, as text and never as markup. Shows the lower part, where things happen; of a full-screen program the upper one, or
// where its cursor is.
import { useApp } from '../context.ts';
import type { SlotScreen } from '../gateway/screens.ts';
import { useStore } from '../store.ts';
import { visibleLines } from '../text/visible.ts';

/** As many as the largest card shows. */
const MAX_LINES = 40;
/** As many as the smallest one shows below each other. */
const NEAR_LINES = 12;

export function Preview({ slot }: { readonly slot: string }) {
  const screen = useStore(useApp().gateway.screens.of(slot));
  const isFull = screen?.alternateScreen === true;
  return (
    <pre class={isFull ? 'preview full-screen' : 'preview'} aria-hidden="true">
      <span>{screen === null ? '' : visibleLines(textOf(screen))}</span>
    </pre>
  );
}

function textOf({ lines, cursor, alternateScreen }: SlotScreen): string {
  if (!alternateScreen) return lines.slice(-MAX_LINES).join('\n');
  const row = cursor?.visible === true ? cursor.row : 0;
  const start = row < NEAR_LINES ? 0 : row - NEAR_LINES / 2;
  return lines.slice(start, start + MAX_LINES).join('\n');
}
