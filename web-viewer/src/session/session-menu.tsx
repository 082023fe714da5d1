// Who this browser is, and the way out.
import { useApp } from '../context.ts';
import { useStore } from '../store.ts';

export function SessionMenu() {
  const { gateway, notes } = useApp();
  const session = useStore(gateway.session);
  if (session === null) return null;
  const only = session.cast ?? session.slot;
  return (
    <details class="menu">
      <summary aria-label={`Signed in as ${session.role}`}>{session.role}</summary>
      <div class="menu-list">
        <p>
          Signed in as <b>{session.role}</b>
          {only !== null && <>, for {only} only</>}
          {session.expiresAt !== null && <>, until {new Date(session.expiresAt).toLocaleString()}</>}.
        </p>
        <button type="button" onClick={() => gateway.signOut().catch((error: unknown) => notes.problem(error))}>
          Sign out
        </button>
      </div>
    </details>
  );
}
