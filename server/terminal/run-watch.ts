// Watches a shell from the moment a run's line is typed: where its output begins and ends, and how the run is over.
// It types nothing.
import type { TerminalEnd } from '../keeper/keeper.ts';
import type { Mark } from './mark.ts';
import { type KeptText, RunOutput } from './output.ts';
import { READS_LINE, type Shell, type ShellEvent } from './shell.ts';

/** The end mark comes before the prompt in one go; without it, and with a prompt for so long, it was lost. */
const LOST_END_MS = 150;
/** The line is taken within milliseconds; a host under load may need a thousand times that. */
const TAKEN_MS = 15_000;
/** A prompt is short: longer text after "the shell reads a line" is a program's. */
const MAX_PROMPT_CHARS = 4096;

/** What a line that was typed is known by. */
export interface Typed {
  /** In its mark. Nobody foresees it: whoever has read the marks' nonce must not be able to tell of a run before it begins. */
  readonly id: string;
  /** Of its script: a line that is taken late finds none. */
  readonly name: string;
}

/** refused: the shell did not run the line, nothing has begun. */
export type RunEnd =
  | { readonly status: number | null; readonly cwd: string | null }
  | { readonly shell: TerminalEnd }
  | 'refused';

export class RunWatch {
  readonly over: Promise<RunEnd>;
  /** Resolves when the shell has taken the line; never when it doesn't. */
  readonly started: Promise<void>;
  /** The shell has taken the line. Looked for also after a refusal, which is a matter of time. */
  begun = false;
  readonly #shell: Shell;
  readonly #id: string;
  readonly #output: RunOutput;
  readonly #subscription: { close(): void };
  #settle: (end: RunEnd) => void = () => undefined;
  #start: () => void = () => undefined;
  /** What was printed from the moment on that somebody began to read a line: a prompt when it was the shell. */
  #prompt: string | null = null;
  #frozen = false;
  #kept: KeptText | null = null;
  #timer: NodeJS.Timeout;

  constructor(shell: Shell, options: Typed & { readonly maxOutputBytes: number }) {
    this.#shell = shell;
    this.#id = options.id;
    this.#output = new RunOutput(options.maxOutputBytes, `${shell.directory}/${options.name}`);
    this.over = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.started = new Promise((resolve) => {
      this.#start = resolve;
    });
    this.#timer = setTimeout(() => this.#end('refused'), TAKEN_MS);
    this.#subscription = shell.listen((event) => this.#see(event));
  }

  /** What was printed up to now; nothing is taken after it. */
  output(): KeptText {
    if (!this.#frozen) this.#keepPrompt();
    this.#frozen = true;
    this.#kept ??= this.#output.end();
    return this.#kept;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#subscription.close();
  }

  #see(event: ShellEvent): void {
    if (event.kind === 'text') this.#text(event.text);
    else if (event.kind === 'mark') this.#mark(event.mark);
    else if (event.kind === 'end') this.#end({ shell: event.end });
    else if (this.begun) this.#freeze();
  }

  #mark(mark: Mark): void {
    if (mark.kind === 'outputStart') {
      if (mark.run === this.#id) this.#begin();
    } else if (mark.kind === 'finished' && this.begun) {
      this.#end({ status: mark.status, cwd: mark.cwd });
    } else if (mark.kind === 'promptStart') {
      this.#prompted(mark.status);
    }
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.begun = true;
    this.#start();
  }

  /** A prompt before the end mark: a redrawn one, one that a program printed, or the mark was lost. */
  #prompted(status: number | null): void {
    clearTimeout(this.#timer);
    if (this.begun) this.#prompt ??= '';
    this.#timer = setTimeout(() => {
      if (this.#shell.atPrompt && this.#shell.foreground() !== 'job') this.#endAtPrompt(status);
      else if (!this.begun) this.#timer = setTimeout(() => this.#end('refused'), TAKEN_MS);
    }, LOST_END_MS);
  }

  #endAtPrompt(status: number | null): void {
    if (this.begun) this.#freeze();
    this.#end(this.begun ? { status, cwd: this.#shell.cwd } : 'refused');
  }

  #text(text: string): void {
    if (!this.begun || this.#frozen) return;
    if (this.#prompt !== null) {
      this.#prompt += text;
      if (this.#prompt.length > MAX_PROMPT_CHARS) this.#keepPrompt();
      return;
    }
    const reads = text.indexOf(READS_LINE);
    this.#output.push(reads === -1 ? text : text.slice(0, reads));
    if (reads !== -1) this.#prompt = text.slice(reads);
  }

  /** It was output after all. */
  #keepPrompt(): void {
    const text = this.#prompt;
    this.#prompt = null;
    if (text !== null) this.#output.push(text);
  }

  /** What seemed to be a prompt was one. */
  #freeze(): void {
    this.#prompt = null;
    this.#frozen = true;
  }

  #end(end: RunEnd): void {
    if (end === 'refused') clearTimeout(this.#timer);
    else this.close();
    this.output();
    this.#settle(end);
  }
}
