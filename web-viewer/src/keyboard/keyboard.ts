// Keys of the page. Whoever is on the screen registers what its keys do; the one registered last goes first. Typing into a field is left alone.

export interface KeyBinding {
  /** As in KeyboardEvent.key: `j`, `ArrowDown`, `[`. */
  readonly keys: readonly string[];
  /** For the help; without it the key isn't listed. */
  readonly says?: string;
  readonly group?: string;
  /** False lets the key go on to whoever else wants it; anything else takes it. */
  run(event: KeyboardEvent): unknown;
}

export class Keyboard {
  readonly #layers: { readonly bindings: () => readonly KeyBinding[] }[] = [];
  /** While somebody drives a terminal every key is the terminal's, but for Ctrl+Shift+L, which calls this. */
  giveBack: (() => void) | null = null;

  constructor() {
    // Before the player's own keys, which would take some of ours.
    addEventListener('keydown', (event) => this.#press(event), true);
  }

  /** Adds bindings until the returned function is called. */
  add(bindings: () => readonly KeyBinding[]): () => void {
    const layer = { bindings };
    this.#layers.push(layer);
    return () => {
      const index = this.#layers.indexOf(layer);
      if (index !== -1) this.#layers.splice(index, 1);
    };
  }

  /** What can be pressed now, for the help. */
  get bindings(): readonly KeyBinding[] {
    return this.#layers.flatMap((layer) => layer.bindings());
  }

  #press(event: KeyboardEvent): void {
    if (!this.#takes(event)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  #takes(event: KeyboardEvent): boolean {
    if (this.giveBack !== null) {
      const isGiveBack = event.ctrlKey && event.shiftKey && event.code === 'KeyL';
      if (isGiveBack) this.giveBack();
      return isGiveBack;
    }
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return false;
    if (isTyping(event.target) && event.key !== 'Escape') return false;
    // A dialog closes by itself on Escape, and by nothing else.
    if (document.querySelector('dialog[open]') !== null) return false;
    return this.#layers
      .toReversed()
      .flatMap((layer) => layer.bindings())
      .some((binding) => binding.keys.includes(event.key) && binding.run(event) !== false);
  }
}

/** Fields take letters; buttons, links and sliders take the keys that move or press them. */
function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return target.type !== 'checkbox' && target.type !== 'range';
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement || target.isContentEditable;
}

/** Whether Enter or space would press what has the focus. */
export const isPressable = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && target.closest('button, a, summary, input, [role="slider"]') !== null;
