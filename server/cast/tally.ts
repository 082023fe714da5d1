// The commands of a recording in sum: how many, how many failed, and their texts for a search. Taken from the markers as they pass; pure.
import { parseLabel } from '../../protocol/command-mark.ts';

/** Some ten thousand different commands. What comes after them is not found by a search. */
export const MAX_TEXT_CHARS = 512 * 1024;

export class Tally {
  commands = 0;
  /** Characters in the texts. */
  chars = 0;
  #failed = 0;
  /** Begun, not ended. */
  readonly #open = new Set<string>();
  /** Each text once, in small letters. */
  readonly #texts = new Set<string>();

  take(label: string): void {
    const said = parseLabel(label);
    if (said === null) return;
    if (said.kind === 'end') {
      if (this.#open.delete(said.process) && (said.outcome !== 'exited' || said.exitCode !== 0)) this.#failed++;
      return;
    }
    this.commands++;
    this.#open.add(said.process);
    this.#note(said.command.toLowerCase());
  }

  /** Commands that ended otherwise than by exit code 0; one without an end runs while the recording does, and is lost afterwards. */
  failed(live: boolean): number {
    return this.#failed + (live ? 0 : this.#open.size);
  }

  /** The texts in small letters, a line each. */
  text(): string {
    return [...this.#texts].join('\n');
  }

  #note(text: string): void {
    const chars = text.length + 1;
    if (this.#texts.has(text) || this.chars + chars > MAX_TEXT_CHARS) return;
    this.#texts.add(text);
    this.chars += chars;
  }
}
