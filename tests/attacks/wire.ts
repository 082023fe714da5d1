// TCP connections and frames made by hand, for what no proper client would send. It never repairs what it is told to send.
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { needs, remote } from '../support/remote.ts';
import { ADDRESS, TOKEN } from './gateway.ts';

export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

export interface FrameOptions {
  readonly opcode?: number;
  readonly fin?: boolean;
  /** The three reserved bits, 0 to 7. */
  readonly reserved?: number;
  readonly masked?: boolean;
  /** What the header says instead of the real length. */
  readonly claims?: bigint;
}

/** A frame as a client sends it, or as none would. */
export function frame(payload: string | Buffer, options: FrameOptions = {}): Buffer {
  const { opcode = TEXT, fin = true, reserved = 0, masked = true, claims } = options;
  const data = Buffer.from(payload as string);
  const first = Buffer.from([(fin ? 0x80 : 0) | (reserved << 4) | opcode]);
  const length = lengthOf(claims ?? BigInt(data.length));
  length[0] = (length[0] ?? 0) | (masked ? 0x80 : 0);
  // A mask of zeros changes nothing, and counts as one.
  return Buffer.concat([first, length, ...(masked ? [Buffer.alloc(4)] : []), data]);
}

function lengthOf(bytes: bigint): Buffer {
  if (bytes < 126n) return Buffer.from([Number(bytes)]);
  if (bytes < 65_536n) return Buffer.from([126, Number(bytes >> 8n), Number(bytes & 255n)]);
  const long = Buffer.alloc(9, 127);
  long.writeBigUInt64BE(bytes, 1);
  return long;
}

export interface Received {
  readonly fin: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
}

/** A TCP connection that keeps what it hears. */
export class Wire {
  readonly socket: Socket;
  /** Resolves when the other end has closed it. */
  readonly closed: Promise<void>;
  heard: Buffer = Buffer.alloc(0);
  #listeners: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (data) => {
      this.heard = Buffer.concat([this.heard, data]);
      for (const listener of this.#listeners.splice(0)) listener();
    });
    // A reset is an end too.
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  /** `from`: the own address on loopback. */
  static async open(port: number, from?: string): Promise<Wire> {
    if (from !== undefined && remote !== null) needs('several addresses of its own');
    const localAddress = from ?? (remote === null ? '127.0.0.1' : undefined);
    const socket = connect({ port, host: ADDRESS, ...(localAddress === undefined ? {} : { localAddress }) });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new Wire(socket);
  }

  /** A WebSocket that is open, with nothing heard yet. */
  static async upgraded(port: number, path = '/ws', token = TOKEN): Promise<Wire> {
    const wire = await Wire.open(port);
    wire.send(handshake(port, { path, headers: [`Authorization: Bearer ${token}`] }));
    await wire.until(() => wire.heard.includes('\r\n\r\n'));
    if (wire.status !== 101) throw new Error(`no upgrade: ${wire.heard}`);
    wire.heard = wire.heard.subarray(wire.heard.indexOf('\r\n\r\n') + 4);
    return wire;
  }

  /** Of the reply to the first request. */
  get status(): number {
    return Number(/^HTTP\/1\.1 (\d+)/.exec(this.heard.toString('latin1'))?.[1]);
  }

  send(...pieces: readonly (string | Buffer)[]): void {
    for (const piece of pieces) if (!this.socket.destroyed) this.socket.write(piece);
  }

  /** Whole frames so far. */
  frames(): Received[] {
    const found: Received[] = [];
    for (let at = 0; at + 2 <= this.heard.length; ) {
      const short = (this.heard[at + 1] ?? 0) & 0x7f;
      const start = at + (short === 127 ? 10 : short === 126 ? 4 : 2);
      if (this.heard.length < start) break;
      const length =
        short === 127
          ? Number(this.heard.readBigUInt64BE(at + 2))
          : short === 126
            ? this.heard.readUInt16BE(at + 2)
            : short;
      if (this.heard.length < start + length) break;
      const first = this.heard[at] ?? 0;
      found.push({ fin: first >= 0x80, opcode: first & 15, payload: this.heard.subarray(start, start + length) });
      at = start + length;
    }
    return found;
  }

  /** The code of the close frame, when the other end has closed; null when it sent none, 1005 when that has no code. */
  async closeCode(): Promise<number | null> {
    await this.until(() => this.socket.destroyed || this.frames().some(({ opcode }) => opcode === CLOSE));
    const last = this.frames().find(({ opcode }) => opcode === CLOSE);
    this.socket.destroy();
    if (last === undefined) return null;
    return last.payload.length < 2 ? 1005 : last.payload.readUInt16BE(0);
  }

  /** Waits until it holds; it is looked at whenever something comes, and at the end. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.socket.destroyed) throw new Error(`closed before: ${this.heard.subarray(0, 500).toString('latin1')}`);
      await Promise.race([this.closed, new Promise<void>((resolve) => this.#listeners.push(resolve))]);
    }
  }

  close(): void {
    this.socket.destroy();
  }
}

export interface HandshakeOptions {
  readonly path?: string;
  readonly headers?: readonly string[];
}

export const handshake = (port: number, { path = '/ws', headers = [] }: HandshakeOptions = {}): string =>
  [
    `GET ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
    ...headers,
    '\r\n',
  ].join('\r\n');

export interface RequestOptions {
  readonly method?: string;
  /** Bearer; null = none. */
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The own address on loopback. */
  readonly from?: string;
}

export interface Reply {
  readonly status: number;
  /** Head and body as they came. */
  readonly text: string;
  readonly body: string;
  /** The fault's name, where the body is an error. */
  readonly fault: string | undefined;
}

/** One request on a connection of its own; the path goes out as it is written. */
export async function ask(port: number, path: string, options: RequestOptions = {}): Promise<Reply> {
  const { method = 'GET', token = TOKEN, headers = {}, body = '', from } = options;
  const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  const all = {
    host: `127.0.0.1:${port}`,
    connection: 'close',
    ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    ...(body === '' ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
    ...lower,
  };
  const wire = await Wire.open(port, from);
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  wire.send(`${method} ${path} HTTP/1.1\r\n${head.join('')}\r\n${body}`);
  await wire.closed;
  const text = wire.heard.toString('utf8');
  const replied = text.slice(text.indexOf('\r\n\r\n') + 4);
  return { status: wire.status, text, body: replied, fault: /"name":"([A-Z_]+)"/.exec(replied)?.[1] };
}
