// The media type that a file's name suggests. Must never look into the file: what it holds is the payload's to choose.
import { extname } from 'node:path';

const UNKNOWN = 'application/octet-stream';

const types: ReadonlyMap<string, string> = new Map([
  ...of(
    'text/plain',
    'txt log text conf ini cfg env diff patch toml rst tex sh bash zsh py pyi rb pl lua go rs c h cc cpp hpp java kt swift sql ts tsx jsx vue php r jl nix tf lock',
  ),
  ...of('text/markdown', 'md markdown'),
  ...of('text/html', 'html htm'),
  ...of('text/css', 'css'),
  ...of('text/csv', 'csv'),
  ...of('text/tab-separated-values', 'tsv'),
  ...of('text/javascript', 'js mjs cjs'),
  ...of('application/json', 'json map ipynb'),
  ...of('application/x-ndjson', 'jsonl ndjson'),
  ...of('application/x-asciicast', 'cast'),
  ...of('application/yaml', 'yaml yml'),
  ...of('application/xml', 'xml xsd xsl'),
  ...of('application/pdf', 'pdf'),
  ...of('application/wasm', 'wasm'),
  ...of('application/gzip', 'gz tgz'),
  ...of('application/zip', 'zip whl jar'),
  ...of('application/x-tar', 'tar'),
  ...of('application/x-bzip2', 'bz2'),
  ...of('application/x-xz', 'xz'),
  ...of('application/zstd', 'zst'),
  ...of('application/x-7z-compressed', '7z'),
  ...of('application/vnd.sqlite3', 'sqlite sqlite3 db'),
  ...of('application/vnd.apache.parquet', 'parquet'),
  ...of('application/vnd.openxmlformats-officedocument.wordprocessingml.document', 'docx'),
  ...of('application/vnd.openxmlformats-officedocument.spreadsheetml.sheet', 'xlsx'),
  ...of('application/vnd.openxmlformats-officedocument.presentationml.presentation', 'pptx'),
  ...of('image/png', 'png'),
  ...of('image/jpeg', 'jpg jpeg'),
  ...of('image/gif', 'gif'),
  ...of('image/webp', 'webp'),
  ...of('image/avif', 'avif'),
  ...of('image/bmp', 'bmp'),
  ...of('image/svg+xml', 'svg'),
  ...of('image/x-icon', 'ico'),
  ...of('audio/mpeg', 'mp3'),
  ...of('audio/wav', 'wav'),
  ...of('audio/ogg', 'ogg oga'),
  ...of('audio/flac', 'flac'),
  ...of('video/mp4', 'mp4 m4v'),
  ...of('video/webm', 'webm'),
  ...of('video/quicktime', 'mov'),
  ...of('font/woff', 'woff'),
  ...of('font/woff2', 'woff2'),
  ...of('font/ttf', 'ttf'),
]);

/** Names without an extension that are text by custom. */
const TEXT_NAMES = /^(?:makefile|dockerfile|readme|license|changelog|\.[a-z]*ignore|\.bash\w*|\.profile)$/i;

/** `application/octet-stream` when the name says nothing. Whoever serves it must still say nosniff. */
export function mimeOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (TEXT_NAMES.test(name)) return 'text/plain';
  return types.get(extname(name).slice(1).toLowerCase()) ?? UNKNOWN;
}

function of(type: string, extensions: string): [string, string][] {
  return extensions.split(' ').map((extension) => [extension, type]);
}
