// A line to take along: shown as code, copied by a button. The clipboard is written only when somebody presses it.
import { useState } from 'preact/hooks';
import { useApp } from './context.ts';

/** How long the button says that it is done. */
const SAID_MS = 1500;

export function Copy({ text }: { readonly text: string }) {
  return (
    <div class="copy">
      <code>{text}</code>
      <CopyButton text={() => text} />
    </div>
  );
}

export interface CopyButtonProps {
  readonly text: () => string | Promise<string>;
  readonly label?: string;
}

export function CopyButton({ text, label = 'Copy' }: CopyButtonProps) {
  const { notes } = useApp();
  const [isDone, setDone] = useState(false);
  const copy = async (): Promise<void> => {
    try {
      await copyText(await text());
      setDone(true);
      setTimeout(() => setDone(false), SAID_MS);
    } catch (error) {
      notes.problem(error);
    }
  };
  return (
    <button type="button" onClick={() => void copy()}>
      {isDone ? 'Copied' : label}
    </button>
  );
}

async function copyText(text: string): Promise<void> {
  // Browsers have no clipboard where the page came by plain http from another machine.
  if (navigator.clipboard !== undefined) return await navigator.clipboard.writeText(text);
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  if (!done) throw new Error('This browser does not let the page copy. Select the text and copy it yourself.');
}
