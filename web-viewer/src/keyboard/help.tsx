// What the keys do, on `?`. Lists what is registered, so that it can't say what is not so.
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { KeyBinding } from './keyboard.ts';

const names: Readonly<Record<string, string>> = {
  ' ': 'Space',
  ArrowLeft: '←',
  ArrowRight: '→',
  ArrowUp: '↑',
  ArrowDown: '↓',
  Escape: 'Esc',
};

export function Help({ bindings, close }: { readonly bindings: readonly KeyBinding[]; readonly close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  const groups = grouped(bindings.filter(({ says }) => says !== undefined));
  return (
    <dialog ref={dialog} class="help" aria-label="Keyboard" onClose={close}>
      <header>
        <h2>Keyboard</h2>
        <button type="button" class="quiet" aria-label="Close" onClick={close}>
          ×
        </button>
      </header>
      <div class="help-groups">
        {[...groups].map(([group, list]) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {list.map((binding) => (
                <div key={binding.keys.join()}>
                  <dt>
                    {binding.keys.map((key) => (
                      <kbd key={key}>{names[key] ?? key}</kbd>
                    ))}
                  </dt>
                  <dd>{binding.says}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </dialog>
  );
}

function grouped(bindings: readonly KeyBinding[]): Map<string, KeyBinding[]> {
  const groups = new Map<string, KeyBinding[]>();
  for (const binding of bindings) {
    const group = binding.group ?? 'Everywhere';
    groups.set(group, [...(groups.get(group) ?? []), binding]);
  }
  return groups;
}
