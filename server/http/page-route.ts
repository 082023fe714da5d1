// The viewer's page and its parts, read once at the start: only what was found then is ever served, so no path leads anywhere else.
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { Hono, type Next } from 'hono';
import { accepts } from 'hono/accepts';
import type { HttpContext, HttpEnv } from './env.ts';

export interface PageFile {
  readonly content: Uint8Array<ArrayBuffer>;
  /** The same by gzip; null where that saves nothing. Made when it is first asked for: a start is not to wait for it. */
  readonly gzipped: () => Promise<Uint8Array<ArrayBuffer> | null>;
  readonly mime: string;
  readonly etag: string;
  /** The name changes with the content. */
  readonly immutable: boolean;
}

/** By path as it stands in a URL. */
export type PageFiles = ReadonlyMap<string, PageFile>;

const mimes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.wasm': 'application/wasm',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
};

const compress = promisify(gzip);

const WITHOUT_PAGE = `This is slotcast, a session gateway for agents.

  /ws        WebSocket, JSON-RPC 2.0, subprotocol slotcast.v1
  /live/SLOT WebSocket, the live terminal for asciinema players
  /casts     recordings
  /healthz   /readyz   /metrics

The viewer's page has not been built here: npm run build, then start again.
The method rpc.discover describes every call.
`;

/** Every file below the directory of the built viewer; none when there is no such directory. */
export async function readPageFiles(dir: string): Promise<PageFiles> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  const read = async (file: string): Promise<[string, PageFile]> => {
    const content = new Uint8Array(await readFile(file));
    const path = `/${relative(dir, file).split(sep).join('/')}`;
    const mime = mimes[extname(file)] ?? 'application/octet-stream';
    const etag = `"${createHash('sha256').update(content).digest('base64url')}"`;
    return [path, { content, gzipped: smaller(content), mime, etag, immutable: path.startsWith('/assets/') }];
  };
  return new Map(await Promise.all(files.map(read)));
}

function smaller(content: Uint8Array<ArrayBuffer>): PageFile['gzipped'] {
  let made: ReturnType<PageFile['gzipped']> | null = null;
  return () => {
    made ??= compress(content).then((gzipped) => (gzipped.length < content.length ? new Uint8Array(gzipped) : null));
    return made;
  };
}

/** Addresses inside the page, which somebody opens or reloads; it reads them itself. */
const views = ['/casts', '/cast/:cast', '/slot/:slot'];

/** Goes before the other routes: a browser that is sent to /casts gets the page, every program the list. */
export function pageRoutes(files: PageFiles): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();
  const index = files.get('/index.html');
  app.get('/', async (c) => (index === undefined ? c.text(WITHOUT_PAGE) : await send(c, index)));
  const view = async (c: HttpContext, next: Next): Promise<Response | undefined> => {
    if (index !== undefined && (c.req.header('accept') ?? '').includes('text/html')) return await send(c, index);
    await next();
    return undefined;
  };
  for (const path of views) app.get(path, view);
  app.get('*', async (c, next) => {
    const file = files.get(c.req.path);
    if (file !== undefined) return await send(c, file);
    await next();
    return undefined;
  });
  return app;
}

async function send(c: HttpContext, { content, gzipped, mime, etag, immutable }: PageFile): Promise<Response> {
  const cacheControl = immutable ? 'public, max-age=31536000, immutable' : 'no-cache';
  const headers = { 'content-type': mime, etag, 'cache-control': cacheControl, vary: 'accept-encoding' };
  if (c.req.header('if-none-match') === etag) return c.body(null, 304, headers);
  const encoding = accepts(c, { header: 'Accept-Encoding', supports: ['gzip', 'identity'], default: 'identity' });
  const small = encoding === 'gzip' ? await gzipped() : null;
  if (small === null) return c.body(content, 200, headers);
  return c.body(small, 200, { ...headers, 'content-encoding': 'gzip' });
}
