// Requests to the gateway's HTTP routes, for what is too large for a message. Sends the credential in a header, never in a URL.
import { ConnectionError } from './connection-error.ts';
import { faultOfReply } from './refusal.ts';

export interface HttpOptions {
  /** Ends with a slash. */
  readonly base: string;
  readonly token: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

export interface HttpRequest {
  readonly method?: 'GET' | 'PUT' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: BodyInit;
  readonly signal?: AbortSignal | undefined;
}

export class Http {
  readonly #options: HttpOptions;

  constructor(options: HttpOptions) {
    this.#options = options;
  }

  /** A successful reply, its body still to be read. Rejects with the gateway's Fault, or a ConnectionError. */
  async request(path: string, { method = 'GET', headers = {}, body, signal }: HttpRequest = {}): Promise<Response> {
    const { base, token } = this.#options;
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const init = {
      method,
      headers: { ...this.#options.headers, ...authorization, ...headers },
      // A browser without a token has a cookie.
      credentials: 'same-origin',
      redirect: 'error',
      signal: signal ?? null,
      // fetch wants to be told that a body is sent while the reply may already come.
      ...(body === undefined ? {} : { body, duplex: 'half' }),
    } satisfies RequestInit & { duplex?: 'half' };
    const reply = await fetch(new URL(path, base), init).catch((error: unknown) => {
      if (signal?.aborted) throw error;
      throw new ConnectionError(`No gateway can be reached at ${base} (${reasonOf(error)}).`);
    });
    if (!reply.ok) throw faultOfReply(reply.status, await reply.text());
    return reply;
  }
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as { cause?: { code?: string; message?: string }; message: string };
  return cause?.code ?? cause?.message ?? message;
}

/** A path of a workspace as part of a URL. Dots would be taken as steps by whoever reads the URL, so such a path goes as one piece. */
export function encodePath(path: string): string {
  const steps = path.split('/');
  if (!steps.some((step) => step === '.' || step === '..')) return steps.map(encodeURIComponent).join('/');
  return encodeURIComponent(steps.length === 1 ? `./${path}` : path);
}
