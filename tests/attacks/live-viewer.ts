// A stock player on /live, as the attack tests see it: everything that it was sent, as text. It never sends anything.
import { WebSocket } from 'ws';
import { decodeAlis } from '../../protocol/alis.ts';
import { type Target, TOKEN } from './gateway.ts';

export const liveProtocols = ['v1.alis', 'v3.asciicast', 'v2.asciicast'] as const;
export type LiveProtocol = (typeof liveProtocols)[number];

export interface LiveViewer {
  readonly protocol: LiveProtocol;
  /** Screens and output so far, in order. */
  readonly text: string;
  readonly bytes: number;
  readonly messages: number;
  /** Sizes that it was told, as COLSxROWS. */
  readonly sizes: readonly string[];
  readonly isOpen: boolean;
  close(): Promise<void>;
}

/** Resolves when the first screen has come. */
export async function openLive(target: Target, slot: string, protocol: LiveProtocol): Promise<LiveViewer> {
  const socket = new WebSocket(`${target.url.replace('http', 'ws')}/live/${slot}`, protocol, {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  const seen = { text: '', bytes: 0, messages: 0, sizes: [] as string[] };
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.on('message', (data: Buffer) => {
      seen.messages++;
      seen.bytes += data.length;
      note(seen, protocol === 'v1.alis' ? alis(data) : lines(data.toString()));
      if (seen.sizes.length > 0) resolve();
    });
  });
  return {
    protocol,
    get text() {
      return seen.text;
    },
    get bytes() {
      return seen.bytes;
    },
    get messages() {
      return seen.messages;
    },
    get sizes() {
      return seen.sizes;
    },
    get isOpen() {
      return socket.readyState === socket.OPEN;
    },
    close: async () => {
      socket.close();
      await closed;
    },
  };
}

interface Piece {
  readonly text?: string;
  readonly size?: string;
}

/** What the attacks print is small; of a flood the end is enough. */
const MAX_TEXT_CHARS = 1024 * 1024;

function note(seen: { text: string; sizes: string[] }, { text = '', size }: Piece): void {
  seen.text = (seen.text + text).slice(-MAX_TEXT_CHARS);
  if (size !== undefined) seen.sizes.push(size);
}

function alis(data: Buffer): Piece {
  const message = decodeAlis(data);
  if (message.kind === 'init') return { text: message.screen, size: `${message.cols}x${message.rows}` };
  if (message.kind !== 'event') return {};
  return message.code === 'r' ? { size: message.data } : { text: message.data };
}

function lines(text: string): Piece {
  const message: unknown = JSON.parse(text);
  if (Array.isArray(message)) return message[1] === 'r' ? { size: String(message[2]) } : { text: String(message[2]) };
  const { width, height, term } = message as { width?: number; height?: number; term?: { cols: number; rows: number } };
  return { size: `${width ?? term?.cols}x${height ?? term?.rows}` };
}
