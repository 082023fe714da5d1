// What somebody sees who is not signed in: where the address is to be found, and a field for a token.
import { useState } from 'preact/hooks';
import { useApp } from '../context.ts';

export function SignIn({ reason }: { readonly reason: string | null }) {
  const { gateway } = useApp();
  const [token, setToken] = useState('');
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    await gateway.signIn(token.trim()).finally(() => setBusy(false));
  };
  return (
    <div class="sign-in">
      <h1>Sign in</h1>
      {reason !== null && (
        <p class="problem" role="alert">
          {reason}
        </p>
      )}
      <p>
        Open the address that <code>npm start</code> prints: it signs this browser in, once and for some minutes. In the
        clone <code>npm run -s slotcast -- open</code> prints another. A link that was shared with you works until it
        expires.
      </p>
      <form onSubmit={submit}>
        <label for="token">Or paste a token</label>
        <div class="field-row">
          <input
            id="token"
            type="password"
            autocomplete="off"
            spellcheck={false}
            value={token}
            onInput={(event) => setToken(event.currentTarget.value)}
          />
          <button type="submit" class="primary" disabled={token.trim() === '' || isBusy}>
            Sign in
          </button>
        </div>
        <p class="hint">
          The gateway prints where its token lies when it starts. It is kept as a cookie that no script can read.
        </p>
      </form>
    </div>
  );
}
