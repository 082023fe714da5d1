// The terminal emulator of the asciinema player, taken out of its package: what viewers will see.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

type Span = readonly [pointer: number, length: number];

interface WasmVt {
  feed(text: string): unknown;
  resize(cols: number, rows: number): unknown;
  getLine(
    row: number,
    cursorOn: boolean,
  ): Readonly<Record<'bg' | 'text' | 'codepoints' | 'raster_symbols' | 'vector_symbols', Span>>;
  getCursor(): { col: number; row: number; visible: boolean };
  getDataView(span: Span, size: number): DataView;
}

/** One entry of each list that a line has, as the player's renderer reads it: its size, and which of its bytes always mean something. */
const ENTRIES = {
  bg: { size: 8, used: '#####...' },
  text: { size: 12, used: '#######...#.' },
  codepoints: { size: 4, used: '####' },
  raster_symbols: { size: 12, used: '##..#####...' },
  vector_symbols: { size: 16, used: '##..#####...#...' },
} as const;

interface VtModule {
  readonly Vt: { build(cols: number, rows: number, bold: boolean, logger: object): Promise<WasmVt> };
}

let loaded: Promise<VtModule> | null = null;

async function load(): Promise<VtModule> {
  const dist = dirname(createRequire(import.meta.url).resolve('asciinema-player'));
  const name = readdirSync(dist).find((file) => file.startsWith('opts-'));
  const source = readFileSync(join(dist, name ?? ''), 'utf8');
  const part = source.slice(source.indexOf('let wasm;'), source.indexOf('var _tmpl$$f'));
  const directory = mkdtempSync(join(tmpdir(), 'slotcast-vt-'));
  try {
    writeFileSync(join(directory, 'vt.mjs'), `${part}\nexport { Vt };\n`);
    return (await import(/* @vite-ignore */ pathToFileURL(join(directory, 'vt.mjs')).href)) as VtModule;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

export async function playerVt(cols: number, rows: number): Promise<WasmVt> {
  loaded ??= load();
  return await (await loaded).Vt.build(cols, rows, false, { debug: () => {} });
}

/** Everything that is drawn, cursor included, to be compared. */
export function drawn(vt: WasmVt, rows: number): string {
  const lines = Array.from({ length: rows }, (_, row) => {
    const line = vt.getLine(row, false);
    return Object.entries(ENTRIES).map(([name, { size, used }]) =>
      hex(vt.getDataView(line[name as keyof typeof ENTRIES], size), used),
    );
  });
  return JSON.stringify([lines, vt.getCursor()]);
}

function hex(view: DataView, used: string): string {
  const bytes = Buffer.from(view.buffer, view.byteOffset, view.byteLength);
  return Buffer.from(bytes.filter((_, index) => used[index % used.length] === '#')).toString('hex');
}
