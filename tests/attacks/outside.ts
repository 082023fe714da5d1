// What lies outside of a workspace and must stay as it is: secrets of the host beside the slots, where the gateway's own user could read and
// write them. An attack that gets there shows in a reply, or in the files afterwards.
import { spawnSync } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect } from 'vitest';
import { Fault, type FaultName } from '../../client/index.ts';
import { ADDRESS, type Target, TOKEN } from './gateway.ts';

/** The content of every file outside. No reply may have it. */
export const SECRET = 'the-host-keeps-this-3b9e';
const FILES = ['secret.txt', 'sub/deep.txt'];

export interface Outside {
  /** On the host; attacks put links to it. */
  readonly dir: string;
  /** Throws unless everything is as it was made: names, content, owners and permissions. */
  untouched(): void;
}

/** Makes it, owned by the user who runs the gateway. Removed with the data directory. */
export function makeOutside(gateway: Target, name = 'outside'): Outside {
  const dir = join(gateway.dataDir, name);
  mkdirSync(join(dir, 'sub'), { recursive: true });
  for (const file of FILES) writeFileSync(join(dir, file), SECRET);
  const { uid, gid } = lstatSync(gateway.dataDir);
  if (process.getuid?.() === 0) spawnSync('chown', ['-R', `${uid}:${gid}`, dir]);
  const look = (): unknown =>
    ['.', ...readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort()].map((path) => {
      const stat = lstatSync(join(dir, path));
      const content = stat.isFile() ? readFileSync(join(dir, path), 'utf8') : '';
      return [path, stat.mode, stat.uid, stat.gid, stat.mtimeMs, stat.ctimeMs, content];
    });
  const made = look();
  return { dir, untouched: () => expect(look()).toEqual(made) };
}

/** Where the host has the files of a slot. */
export const workspaceOf = (gateway: Target, slot: string): string => join(gateway.dataDir, 'slots', slot, 'workspace');

/** The fault that a call ends in; `ok` when it does not. Its message has no path of the host. */
export async function outcomeOf(call: Promise<unknown>): Promise<FaultName | 'ok'> {
  try {
    await call;
    return 'ok';
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    // In quotes stands what the caller wrote.
    expect(error.message.replace(/^"[^"]*"/, '')).not.toMatch(/\/proc\/|slotcast-attack|slots\/slot_/);
    return error.fault;
  }
}

export interface RawRequest {
  readonly method?: string;
  /** As it goes over the wire: no client tidies it. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Sends exactly this and reads until the gateway hangs up: status, and head and body as one text. */
export async function raw(gateway: Target, request: RawRequest): Promise<{ status: number; text: string }> {
  const { method = 'GET', path, headers = {}, body = '' } = request;
  const all = { host: `127.0.0.1:${gateway.port}`, authorization: `Bearer ${TOKEN}`, connection: 'close', ...headers };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  const socket = connect(gateway.port, ADDRESS);
  // Not ended: half-open is something else than a request that is over.
  socket.write(`${method} ${path} HTTP/1.1\r\n${head.join('')}\r\n${body}`);
  const pieces: Buffer[] = [];
  try {
    for await (const piece of socket) pieces.push(piece);
  } catch {
    // Cut by the gateway: what came so far counts.
  }
  const text = Buffer.concat(pieces).toString('latin1');
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0), text };
}

/** An ordinary request with the admin's credential. */
export function http(gateway: Target, path: string, init: RequestInit & { duplex?: 'half' } = {}): Promise<Response> {
  return fetch(`${gateway.url}${path}`, { ...init, headers: { authorization: `Bearer ${TOKEN}`, ...init.headers } });
}
