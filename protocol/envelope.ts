// JSON-RPC 2.0 envelopes: text to messages and back. Pure; what is inside params and results is never looked at here.
import { Fault, type FaultData, faults } from './fault.ts';

/** What one batch may carry: its calls run in parallel, so it is bounded like a connection's calls in flight. */
export const MAX_BATCH = 100;
/** Deepest nesting of a message; the contract's own deepest params have 4 levels. */
export const MAX_DEPTH = 64;
/** Arrays and objects in one message: each costs the parser some 60 bytes for 2 bytes of text. */
export const MAX_CONTAINERS = 100_000;
/** A longer id is no id but a payload that would be sent back. */
const MAX_ID_LENGTH = 1000;

export type Id = string | number;

export interface Request {
  readonly kind: 'request';
  readonly id: Id;
  readonly method: string;
  readonly params: unknown;
}

export interface ClientNotification {
  readonly kind: 'notification';
  readonly method: string;
  readonly params: unknown;
}

/** JSON, but no request: to be answered with this fault; id is null when none could be read. */
export interface Invalid {
  readonly kind: 'invalid';
  readonly id: Id | null;
  readonly fault: Fault;
}

export type Incoming = Request | ClientNotification | Invalid;
export type Envelope =
  | { readonly kind: 'single'; readonly message: Incoming }
  | { readonly kind: 'batch'; readonly messages: readonly Incoming[] };

export interface WireError {
  readonly code: number;
  readonly message: string;
  readonly data: FaultData;
}

/** What a client receives. */
export type Outgoing =
  | { readonly kind: 'result'; readonly id: Id; readonly result: unknown }
  | { readonly kind: 'error'; readonly id: Id | null; readonly error: Readonly<Record<string, unknown>> }
  | { readonly kind: 'notification'; readonly method: string; readonly params: unknown };

/** Reads what a client sent in one text frame; never throws. */
export function parseEnvelope(text: string): Envelope {
  const refused = refuseShape(text);
  if (refused !== null) return single(refused);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return single(new Fault('PARSE_ERROR'));
  }
  if (!Array.isArray(value)) return { kind: 'single', message: readMessage(value) };
  if (value.length === 0) return single(new Fault('INVALID_REQUEST', 'A batch holds at least one call.'));
  if (value.length > MAX_BATCH) {
    return single(
      new Fault('INVALID_REQUEST', `A batch holds at most ${MAX_BATCH} calls, this one ${value.length}. Send several.`),
    );
  }
  return { kind: 'batch', messages: value.map(readMessage) };
}

/** Reads what a server sent in one text frame: replies and notifications. Throws a Fault when it is neither. */
export function parseOutgoing(text: string): readonly Outgoing[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Fault('PARSE_ERROR');
  }
  return (Array.isArray(value) ? value : [value]).map(readOutgoing);
}

export const encodeRequest = (id: Id, method: string, params: unknown): string =>
  JSON.stringify({ jsonrpc: '2.0', id, method, params });

export const encodeNotification = (method: string, params: unknown): string =>
  JSON.stringify({ jsonrpc: '2.0', method, params });

export const encodeResult = (id: Id, result: unknown): string =>
  JSON.stringify({ jsonrpc: '2.0', id, result: result ?? null });

export const encodeError = (id: Id | null, fault: Fault): string =>
  JSON.stringify({ jsonrpc: '2.0', id, error: wireError(fault) });

/** The body of an HTTP reply: the same error, without the envelope of a call. */
export const encodeErrorBody = (fault: Fault): string => JSON.stringify({ error: wireError(fault) });

const wireError = ({ code, message, data }: Fault): WireError => ({ code, message, data });

/** One frame of several encoded messages. */
export const encodeBatch = (messages: readonly string[]): string => `[${messages.join(',')}]`;

const single = (fault: Fault): Envelope => ({ kind: 'single', message: invalid(null, fault) });
const invalid = (id: Id | null, fault: Fault): Invalid => ({ kind: 'invalid', id, fault });

function readMessage(value: unknown): Incoming {
  if (!isObject(value)) return invalid(null, new Fault('INVALID_REQUEST', 'A call is an object.'));
  const id = own(value, 'id');
  const known = isId(id) ? id : null;
  const refuse = (message: string): Invalid => invalid(known, new Fault('INVALID_REQUEST', message));
  if (own(value, 'jsonrpc') !== '2.0') return refuse('A call has jsonrpc: "2.0".');
  const method = own(value, 'method');
  if (typeof method !== 'string') return refuse('A call has a method, which is a string.');
  const params = own(value, 'params');
  if (params !== undefined && (params === null || typeof params !== 'object')) return refuse('params is an object.');
  if (!Object.hasOwn(value, 'id')) return { kind: 'notification', method, params };
  if (known === null) return refuse(`An id is a number or a string of at most ${MAX_ID_LENGTH} characters.`);
  return { kind: 'request', id: known, method, params };
}

function readOutgoing(value: unknown): Outgoing {
  if (!isObject(value)) throw new Fault('INVALID_REQUEST', 'The reply is no object.');
  const id = own(value, 'id');
  const method = own(value, 'method');
  if (typeof method === 'string') return { kind: 'notification', method, params: own(value, 'params') };
  const error = own(value, 'error');
  if (isObject(error)) return { kind: 'error', id: isId(id) ? id : null, error };
  if (isId(id) && Object.hasOwn(value, 'result')) return { kind: 'result', id, result: value['result'] };
  throw new Fault('INVALID_REQUEST', 'The message is neither a reply nor a notification.');
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

/** Own properties only: what a prototype has is never read. */
const own = (value: Readonly<Record<string, unknown>>, name: string): unknown =>
  Object.hasOwn(value, name) ? value[name] : undefined;

const isId = (id: unknown): id is Id =>
  (typeof id === 'string' && id.length <= MAX_ID_LENGTH) || (typeof id === 'number' && Number.isFinite(id));

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Bounds nesting before anything is parsed. Strings are jumped over, so that large payloads cost next to nothing. */
function refuseShape(text: string): Fault | null {
  let depth = 0;
  let containers = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === QUOTE) {
      at = endOfString(text, at);
      if (at < 0) return new Fault('PARSE_ERROR');
    } else if (char === 0x5b || char === 0x7b) {
      if (++depth > MAX_DEPTH) return new Fault('INVALID_REQUEST', `Nesting is limited to ${MAX_DEPTH} levels.`);
      if (++containers > MAX_CONTAINERS) {
        return new Fault('INVALID_REQUEST', `A message holds at most ${MAX_CONTAINERS} arrays and objects.`);
      }
    } else if (char === 0x5d || char === 0x7d) depth--;
  }
  return null;
}

/** Index of the quote that ends the string which begins at `start`; -1 when there is none. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
  return -1;
}

/** Whether a name that came over the wire is in the catalog. */
export const isFaultName = (name: unknown): name is keyof typeof faults =>
  typeof name === 'string' && Object.hasOwn(faults, name);
