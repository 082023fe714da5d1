import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readConfig } from '../../../server/config.ts';

const read = (argv: string[], env: Record<string, string> = {}, isRoot = false) => readConfig({ argv, env, isRoot });

test('without flags the gateway listens on loopback with ten slots, no network and tokens', () => {
  expect(read([])).toMatchObject({
    host: '127.0.0.1',
    port: 8080,
    slots: 10,
    network: 'none',
    sandbox: 'bwrap',
    auth: 'token',
  });
});

test('a flag outweighs a variable, and a variable the config file', () => {
  const dir = mkdtempSync(join(tmpdir(), 'slotcast-config-'));
  const file = join(dir, 'config.json');
  writeFileSync(file, JSON.stringify({ slots: 1, port: 1, graceMs: 5 }));
  const config = read(['--slots', '3', '--config', file], { SLOTCAST_SLOTS: '2', SLOTCAST_PORT: '2' });
  expect(config).toMatchObject({ slots: 3, port: 2, graceMs: 5 });
  rmSync(dir, { recursive: true });
});

test.each([
  [['--slots', '0'], /--slots takes number, not "0"/],
  [['--slots', 'many'], /--slots takes number/],
  [['--network', 'lan'], /--network takes none\|host, not "lan"/],
  [['--nonsense'], /unknown option '--nonsense'.*--help/],
  [['--auth', 'none', '--host', '0.0.0.0'], /--auth none is for loopback addresses only/],
  [['--auth', 'none', '--network', 'host'], /--auth none with --network host/],
  [['--mount', 'relative:/x'], /--mount takes SRC:DST/],
  [['--mount', '/a:/b:rx'], /--mount takes SRC:DST/],
  [['--port', ''], /--port takes number, not ""/],
  [['--port', '1e3'], /--port takes number, not "1e3"/],
  [['--record-inputs'], /unknown option '--record-inputs' \(Did you mean --record-input\?\)/],
  [['--config', '/no\nwhere.json'], /config file \/no where.json cannot be read/],
  [['--config', '/nowhere.json'], /config file \/nowhere.json cannot be read/],
  [['--max-memory', 'much'], /--max-memory takes size, not "much" \(give a size such as 512M/],
  [['--max-file-size', '1K'], /--max-file-size takes size/],
  [['--record', 'always'], /--record takes strict\|best-effort, not "always"/],
  ...[
    '',
    '14',
    '14m',
    '14M',
    '0d',
    '-1d',
    '1.5d',
    '0GB',
    '20',
    '14d,7d',
    '1GB,2GB',
    '14d,',
    '14d,20GB,x',
    'off,1d',
    'x',
  ].map((rule): [string[], RegExp] => [['--keep-casts', rule], /--keep-casts takes 14d,20GB\|off, not .*give an age/]),
  [['--http-api', 'open', '--host', '0.0.0.0'], '--http-api open is for loopback addresses only'],
  [['--http-api', 'open', '--network', 'host'], 'would let every command drive every slot'],
])('bad options %j are refused in one line', (argv, message) => {
  expect(() => read(argv)).toThrow(message);
  try {
    read(argv);
  } catch (error) {
    expect((error as Error).message).not.toContain('\n');
  }
});

test.each([
  ['512M', 512 * 1024 ** 2],
  ['4GiB', 4 * 1024 ** 3],
  ['1.5k', 1536],
  ['1048576', 1_048_576],
  ['0', 0],
])('a size of %s is %i bytes', (text, bytes) => {
  expect(read(['--max-memory', text]).maxMemory).toBe(bytes);
});

test('an empty variable or a null in the file is no port 0', () => {
  expect(() => read([], { SLOTCAST_PORT: '' })).toThrow('--port takes number, not ""');
  const dir = mkdtempSync(join(tmpdir(), 'slotcast-config-'));
  const file = join(dir, 'config.json');
  for (const given of ['null', '[]', 'true', '[8080]']) {
    writeFileSync(file, `{"port":${given}}`);
    expect(() => read(['--config', file])).toThrow('--port takes number');
  }
  rmSync(dir, { recursive: true });
});

test('mounts are read with and without ro', () => {
  expect(read(['--mount', '/a:/b', '--mount', '/c:/d:ro']).mounts).toEqual([
    { source: '/a', target: '/b', readOnly: false },
    { source: '/c', target: '/d', readOnly: true },
  ]);
});

test('the data directory follows the Nomad allocation, root, or XDG', () => {
  expect(read([], { NOMAD_ALLOC_DIR: '/alloc' }).dataDir).toBe('/alloc/data');
  expect(read([], {}, true).dataDir).toBe('/var/lib/slotcast');
  expect(read([], { XDG_DATA_HOME: '/home/u/share' }).dataDir).toBe('/home/u/share/slotcast');
});

test.each([
  ['off', null, null],
  ['14d', 14 * 86_400_000, null],
  ['2w', 14 * 86_400_000, null],
  ['20GB', null, 20 * 1024 ** 3],
  ['14d,20GB', 14 * 86_400_000, 20 * 1024 ** 3],
  [' 1.5 TiB , 36h ', 36 * 3_600_000, 1.5 * 1024 ** 4],
  ['90min,500mb', 90 * 60_000, 500 * 1024 ** 2],
])('--keep-casts %s is understood', (rule, maxAgeMs, maxBytes) => {
  expect(read(['--keep-casts', rule]).keepCasts).toEqual({ maxAgeMs, maxBytes });
  expect(read([], { SLOTCAST_KEEP_CASTS: rule }).keepCasts).toEqual({ maxAgeMs, maxBytes });
});

test('all recordings are kept, and a slot goes on without one, unless somebody says otherwise', () => {
  expect(read([])).toMatchObject({ keepCasts: { maxAgeMs: null, maxBytes: null }, record: 'best-effort' });
  expect(read([], { SLOTCAST_RECORD: 'strict' }).record).toBe('strict');
});

test('the token may come by a file; SLOTCAST_TOKEN outweighs it, an empty file is none, one that is not there is told', () => {
  const dir = mkdtempSync(join(tmpdir(), 'slotcast-config-'));
  const [file, empty] = [join(dir, 'token'), join(dir, 'empty')];
  writeFileSync(file, 'from-the-file\n');
  writeFileSync(empty, '\n');
  expect(read(['--token-file', file]).token).toBe('from-the-file');
  expect(read([], { SLOTCAST_TOKEN_FILE: file }).token).toBe('from-the-file');
  expect(read([], { SLOTCAST_TOKEN_FILE: file, SLOTCAST_TOKEN: 'from-the-variable' }).token).toBe('from-the-variable');
  expect(read([], { SLOTCAST_TOKEN_FILE: empty }).token).toBeUndefined();
  expect(() => read(['--token-file', join(dir, 'none')])).toThrow(/--token-file .*none cannot be read/);
  rmSync(dir, { recursive: true });
});
