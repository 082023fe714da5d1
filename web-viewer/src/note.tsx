// Short messages in the corner, read out by screen readers: what went wrong and what to do.
import { useEffect } from 'preact/hooks';
import { Store, useStore } from './store.ts';

export interface Note {
  readonly id: number;
  readonly text: string;
}

/** Long enough to read two lines. */
const SHOWN_MS = 6000;

export class Notes {
  readonly list = new Store<readonly Note[]>([]);
  #ids = 0;

  problem(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    this.#add({ id: ++this.#ids, text });
  }

  drop(id: number): void {
    this.list.update((notes) => notes.filter((note) => note.id !== id));
  }

  #add(note: Note): void {
    this.list.update((notes) => [...notes.slice(-2), note]);
  }
}

export function NoteList({ notes }: { readonly notes: Notes }) {
  const list = useStore(notes.list);
  return (
    <div class="notes" role="status" aria-live="polite">
      {list.map((note) => (
        <NoteLine key={note.id} note={note} drop={() => notes.drop(note.id)} />
      ))}
    </div>
  );
}

function NoteLine({ note, drop }: { readonly note: Note; readonly drop: () => void }) {
  // The time runs from when it appeared.
  useEffect(() => {
    const timer = setTimeout(drop, SHOWN_MS);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div class="note problem">
      <span>{note.text}</span>
      <button type="button" class="quiet" aria-label="Dismiss" onClick={drop}>
        ×
      </button>
    </div>
  );
}
