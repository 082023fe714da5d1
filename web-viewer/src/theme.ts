// Dark or light: as the system says until the user says otherwise. The choice stays in this browser.
import { Store } from './store.ts';

export type ThemeChoice = 'system' | 'dark' | 'light';
const choices: readonly ThemeChoice[] = ['system', 'dark', 'light'];
const KEY = 'slotcast.theme';

export class Theme {
  readonly choice: Store<ThemeChoice>;

  constructor() {
    const stored = choices.find((choice) => choice === readSetting(KEY));
    this.choice = new Store(stored ?? 'system');
    const apply = (): void => {
      document.documentElement.dataset['theme'] = this.choice.value;
      writeSetting(KEY, this.choice.value);
    };
    apply();
    this.choice.listen(apply);
  }

  next(): void {
    const index = choices.indexOf(this.choice.value);
    this.choice.set(choices[(index + 1) % choices.length] ?? 'system');
  }
}

/** A setting of this browser; null where it keeps none. */
export function readSetting(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function writeSetting(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Private windows may refuse; the choice then lasts as long as the page.
  }
}
