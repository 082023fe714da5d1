// Headers that every reply carries, so that what is served can neither be framed, sniffed nor run.
import type { MiddlewareHandler } from 'hono';
import type { HttpEnv } from './env.ts';

/** The page runs its own scripts only; 'wasm-unsafe-eval' is the player's terminal emulator, which is WebAssembly. */
const PAGE_POLICY = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

/** For what a payload wrote: opened in a browser it is a foreign document without any right. */
export const FOREIGN_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'";

const headers: readonly (readonly [string, string])[] = [
  ['content-security-policy', PAGE_POLICY],
  ['x-content-type-options', 'nosniff'],
  ['referrer-policy', 'no-referrer'],
  ['x-frame-options', 'DENY'],
  ['cross-origin-resource-policy', 'same-origin'],
  ['cross-origin-opener-policy', 'same-origin'],
];

/** Sets what the handler has not set itself. */
export const securityHeaders: MiddlewareHandler<HttpEnv> = async (c, next) => {
  await next();
  addSecurityHeaders(c.res.headers);
};

export function addSecurityHeaders(to: Headers): void {
  for (const [name, value] of headers) if (!to.has(name)) to.set(name, value);
  // What a credential opened is nobody else's.
  if (!to.has('cache-control')) to.set('cache-control', 'private, no-cache');
}
