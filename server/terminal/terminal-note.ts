// What the next gateway has to know of a terminal, so that its shell, the run in it and the results of runs go on meaning the same.
// It holds no more than the last few results.
import { z } from 'zod';
import { type TerminalRunResult, terminalRunResult } from '../../protocol/terminal.ts';
import type { Notes } from '../keeper/keeper.ts';

/** A client that has lost its reply asks again within seconds. */
const MAX_RESULTS = 16;
/** Of all results of a lease, which stand in the memory of the keeper: of a longer output both ends are remembered. */
const MAX_CHARS = 64 * 1024;

const keyed = z.object({ key: z.string(), print: z.string() });

const shellNote = z.object({
  nonce: z.string(),
  env: z.record(z.string(), z.string()),
  network: z.enum(['none', 'host']),
  /** How many shells there were, this one included. */
  shells: z.int(),
});

const runNote = z.object({
  /** Of the last run: r1, r2, … */
  number: z.int(),
  /** The one whose line was typed and that has no result yet. */
  open: z
    .object({
      id: z.string(),
      name: z.string(),
      command: z.string(),
      /** Time of the log in ms. */
      typedMs: z.number(),
      timeoutMs: z.number(),
      maxOutputBytes: z.number(),
      /** How long it had run when its time was over; null as long as it isn't. */
      timedOutMs: z.number().nullable().default(null),
      keyed: keyed.nullable(),
    })
    .nullable(),
});

const resultNote = z.object({ print: z.string(), result: terminalRunResult });

export type ShellNote = z.infer<typeof shellNote>;
export type RunNote = z.infer<typeof runNote>;
export type KeyedRun = z.infer<typeof keyed>;

/** Keeps a note; null forgets it. */
export type NoteKeeper = (name: string, text: string | null) => void;

export class TerminalNotes {
  readonly #keep: NoteKeeper;
  /** The results that are kept, by the names of their notes, the oldest first. */
  readonly #results = new Map<string, string>();

  constructor(keep: NoteKeeper) {
    this.#keep = keep;
  }

  shell(note: ShellNote): void {
    this.#keep('shell', JSON.stringify(note));
  }

  run(note: RunNote): void {
    this.#keep('run', JSON.stringify(note));
  }

  result({ key, print }: KeyedRun, given: TerminalRunResult): void {
    this.#keepResult(`result ${key}`, JSON.stringify({ print, result: shortened(given) }));
  }

  /** Keeps the results of others too. */
  inherit(former: TerminalNotes): void {
    for (const [name, text] of former.#results) this.#keepResult(name, text);
  }

  #keepResult(added: string, text: string): void {
    this.#results.set(added, text);
    this.#keep(added, text);
    let chars = [...this.#results.values()].reduce((sum, kept) => sum + kept.length, 0);
    for (const [name, kept] of this.#results) {
      if (name === added || (chars <= MAX_CHARS && this.#results.size <= MAX_RESULTS)) return;
      this.#results.delete(name);
      this.#keep(name, null);
      chars -= kept.length;
    }
  }

  /** What a gateway before this one has kept. */
  former(notes: Notes): FormerTerminal {
    const results = new Map<string, { readonly print: string; readonly result: TerminalRunResult }>();
    for (const [name, text] of notes) {
      const note = name.startsWith('result ') ? read(resultNote, text) : null;
      if (note === null) continue;
      results.set(name.slice('result '.length), note);
      this.#results.set(name, text);
    }
    return { shell: read(shellNote, notes.get('shell')), run: read(runNote, notes.get('run')), results };
  }
}

export interface FormerTerminal {
  readonly shell: ShellNote | null;
  readonly run: RunNote | null;
  /** By key. */
  readonly results: ReadonlyMap<string, { readonly print: string; readonly result: TerminalRunResult }>;
}

function shortened(result: TerminalRunResult): TerminalRunResult {
  const { output } = result;
  const half = MAX_CHARS / 2;
  if (output.length <= MAX_CHARS) return result;
  const ends = `${output.slice(0, half)}\n[… ${output.length - MAX_CHARS} characters left out …]\n${output.slice(-half)}`;
  return { ...result, output: ends.toWellFormed(), truncated: true };
}

/** null when it says something else. */
function read<T>(schema: z.ZodType<T>, text: string | undefined): T | null {
  try {
    return text === undefined ? null : schema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
