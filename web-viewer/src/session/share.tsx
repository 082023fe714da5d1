// A link for somebody else: to look at one slot or one recording, and at nothing more, until it expires.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { useApp } from '../context.ts';
import { Copy } from '../copy.tsx';
import { useStore } from '../store.ts';
import { mintShare, type ShareTarget } from './mint.ts';

export interface ShareProps {
  readonly target: ShareTarget;
  /** Where the link leads, with what it says behind `#`. */
  readonly path: string;
}

const HOUR_MS = 3_600_000;
const durations = [
  { text: '1 hour', ms: HOUR_MS },
  { text: '1 day', ms: 24 * HOUR_MS },
  { text: '7 days', ms: 7 * 24 * HOUR_MS },
  { text: '30 days', ms: 30 * 24 * HOUR_MS },
] as const;

export function Share({ target, path }: ShareProps) {
  const session = useStore(useApp().gateway.session);
  const [isOpen, open] = useState(false);
  if (session?.role !== 'admin') return null;
  return (
    <>
      <button type="button" onClick={() => open(true)}>
        Share
      </button>
      {isOpen && <ShareDialog target={target} path={path} close={() => open(false)} />}
    </>
  );
}

function ShareDialog({ target, path, close }: ShareProps & { readonly close: () => void }) {
  const { gateway } = useApp();
  const dialog = useRef<HTMLDialogElement>(null);
  const [ttlMs, setTtlMs] = useState<number>(durations[1].ms);
  const [made, setMade] = useState<{ link: string; expiresAt: number } | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  const make = async (): Promise<void> => {
    try {
      const { token, expiresAt } = await mintShare(await gateway.client(), target, ttlMs);
      setMade({ link: `${location.origin}${path}${path.includes('#') ? '&' : '#'}share=${token}`, expiresAt });
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  const what = target.cast === undefined ? target.slot : 'this recording';
  return (
    <dialog ref={dialog} class="share" aria-label="Share" onClose={close}>
      <header>
        <h2>Share {what}</h2>
        <button type="button" class="quiet" aria-label="Close" onClick={close}>
          ×
        </button>
      </header>
      {made === null ? (
        <>
          <p>Whoever has the link can look at {what}, live and recorded, and can’t type or see anything else.</p>
          <div class="field-row">
            <label for="share-for">Works for</label>
            <select id="share-for" value={String(ttlMs)} onChange={(e) => setTtlMs(Number(e.currentTarget.value))}>
              {durations.map(({ text, ms }) => (
                <option key={ms} value={String(ms)}>
                  {text}
                </option>
              ))}
            </select>
            <span class="fill" />
            <button type="button" class="primary" onClick={() => void make()}>
              Make a link
            </button>
          </div>
        </>
      ) : (
        <>
          <p>It works until {new Date(made.expiresAt).toLocaleString()}. It is shown only now.</p>
          <Copy text={made.link} />
        </>
      )}
      {problem !== null && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </dialog>
  );
}
