// A slot's screen in small, as text and never as markup. Shows the lower part, where things happen; of a full-screen program all of it that fits.
import { useApp } from '../context.ts';
import type { SlotScreen } from '../gateway/screens.ts';
import { useStore } from '../store.ts';

/** As many as the largest card shows. */
const MAX_LINES = 40;

export function Preview({ slot }: { readonly slot: string }) {
  const screen = useStore(useApp().gateway.screens.of(slot));
  return (
    <pre class="preview" aria-hidden="true">
      {screen === null ? '' : textOf(screen)}
    </pre>
  );
}

function textOf({ lines }: SlotScreen): string {
  let end = lines.length;
  while (end > 0 && (lines[end - 1] ?? '').trim() === '') end--;
  return lines.slice(Math.max(0, end - MAX_LINES), end).join('\n');
}
