import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';

/** Who may import whom, room by room: a room may import what stands here and itself, nothing else. */
const belowSlot = ['protocol', 'server/keeper', 'server/screen'];
const belowMethods = [...belowSlot, 'server/terminal', 'server/workspace', 'server/cast', 'server/auth', 'server/slot'];
const edges = [...belowMethods, 'server/methods'];
const may: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  client: ['protocol'],
  // Every command is a client, but for what is done on the gateway's own host without one that runs: serve, token and doctor.
  cli: ['protocol', 'client', 'cli/serve.ts'],
  'cli/serve.ts': ['protocol', 'server/main.ts', 'server/auth', 'server/keeper'],
  'web-viewer': ['protocol', 'client'],
  bench: ['protocol', 'client'],
  examples: ['protocol', 'client'],
  'tests/e2e': ['protocol', 'client', 'tests/support'],
  'server/keeper': ['protocol'],
  'server/screen': ['protocol', 'server/keeper'],
  'server/terminal': belowSlot,
  'server/workspace': belowSlot,
  'server/cast': [...belowSlot, 'server/atomic-file.ts'],
  'server/auth': ['protocol', 'server/atomic-file.ts'],
  'server/slot': belowMethods,
  'server/methods': belowMethods,
  'server/rpc': edges,
  'server/http': edges,
  'server/config.ts': ['protocol', 'server/keeper'],
  'server/claim.ts': ['protocol', 'server/keeper'],
  'server/replace.ts': ['server/claim.ts'],
  'server/requirement.ts': ['protocol', 'server/keeper'],
  'server/drain.ts': ['server/slot'],
  'server/systemd.ts': [],
  'server/version.ts': ['server/keeper'],
  'server/atomic-file.ts': [],
  'server/gateway.ts': [
    ...edges,
    'server/rpc',
    'server/http',
    'server/config.ts',
    'server/claim.ts',
    'server/drain.ts',
    'server/requirement.ts',
    'server/version.ts',
  ],
  'server/main.ts': [
    'protocol',
    'server/keeper',
    'server/config.ts',
    'server/claim.ts',
    'server/replace.ts',
    'server/requirement.ts',
    'server/drain.ts',
    'server/systemd.ts',
    'server/gateway.ts',
  ],
};

/** What runs in browsers too, or has to stay small enough to: the packages that it may use. */
const packagesOf: Readonly<Record<string, readonly string[]>> = {
  protocol: ['zod'],
  client: ['zod', 'ws'],
};

/** Longest that a file may get before it has to be two. */
const MAX_LINES = 400;

const root = new URL('../../', import.meta.url).pathname;
const sourceFolders = ['protocol', 'client', 'cli', 'server', 'web-viewer', 'bench', 'examples'];

interface Import {
  readonly from: string;
  /** A path from the root for a relative import, else the name of a package or built-in module. */
  readonly to: string;
  readonly isRelative: boolean;
}

function filesBelow(folder: string, pattern: RegExp): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => pattern.test(name) && !name.includes('node_modules'))
    .map((name) => join(folder, name))
    .sort();
}

const read = (file: string): string => readFileSync(join(root, file), 'utf8');

/** Static imports and re-exports start a line, as the formatter leaves them; dynamic ones and import types may stand anywhere. */
function specifiersIn(source: string): string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const patterns = [
    /^(?:import|export)\b[^;'"]*?\bfrom\s*['"]([^'"]+)['"]/gm,
    /^import\s*['"]([^'"]+)['"]/gm,
    /\bimport\(\s*['"]([^'"]+)['"]/g,
  ];
  return patterns.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1] ?? ''));
}

function importsOf(from: string): Import[] {
  return specifiersIn(read(from)).map((specifier) => {
    const isRelative = specifier.startsWith('.');
    return { from, to: isRelative ? normalize(join(dirname(from), specifier)) : specifier, isRelative };
  });
}

/** The room that a file is in: the longest entry of the rules that its path begins with, else its folder. */
function roomOf(file: string): string {
  const rooms = [...Object.keys(may), 'tests/support'].filter((room) => file === room || file.startsWith(`${room}/`));
  return rooms.sort((a, b) => b.length - a.length)[0] ?? dirname(file);
}

const sources = sourceFolders.flatMap((folder) => filesBelow(folder, /\.tsx?$/));
const endToEnd = filesBelow('tests/e2e', /\.ts$/);
const imports = sources.flatMap(importsOf);

test('the reader of imports finds every kind, and none in comments', () => {
  const source = [
    "import { a } from './a.ts';",
    "import type {\n  B,\n} from './b.ts';",
    "import './c.ts';",
    "export * from './d.ts';",
    "export type { E } from './e.ts';",
    "const f = await import('./f.ts');",
    "let g: import('./g.ts').G;",
    "// import { no } from './no.ts';",
    "/* import './no.ts'; */",
    "export const from = 'nowhere';",
  ].join('\n');
  expect(specifiersIn(source).sort()).toEqual('abcdefg'.split('').map((name) => `./${name}.ts`));
});

test('there are sources to look at', () => {
  expect(sources.length).toBeGreaterThan(50);
  expect(imports.length).toBeGreaterThan(sources.length);
});

test('every file is in a room of the plan', () => {
  const homeless = sources.filter((file) => may[roomOf(file)] === undefined);
  expect(homeless, 'files in a folder that tests/unit/layer.test.ts has no rule for').toEqual([]);
});

test('rooms import only what is below them', () => {
  const wrong = [...imports, ...endToEnd.flatMap(importsOf)]
    .filter(({ isRelative }) => isRelative)
    .filter(({ from, to }) => roomOf(from) !== roomOf(to) && !may[roomOf(from)]?.includes(roomOf(to)))
    .map(({ from, to }) => `${from} imports ${to}: ${roomOf(from)} may not import ${roomOf(to)}`);
  expect(wrong).toEqual([]);
});

test('relative imports name a file that is there, with its extension', () => {
  const wrong = imports
    .filter(({ to, isRelative }) => isRelative && !(/\.(tsx?|css|json)$/.test(to) && existsSync(join(root, to))))
    .map(({ from, to }) => `${from} imports ${to}`);
  expect(wrong).toEqual([]);
});

test('protocol and client use no package that a browser lacks', () => {
  const wrong = imports.flatMap(({ from, to, isRelative }) => {
    const allowed = packagesOf[roomOf(from)];
    return isRelative || allowed === undefined || allowed.includes(to) ? [] : [`${from} imports ${to}`];
  });
  expect(wrong).toEqual([]);
});

test('no file imports itself over others, types included', () => {
  const next = new Map(
    sources.map((file) => [
      file,
      importsOf(file)
        .filter((one) => one.isRelative)
        .map(({ to }) => to),
    ]),
  );
  expect(findCycle(next), 'a cycle of imports').toBeNull();
});

test('a cycle would be found', () => {
  const next = new Map([
    ['a', ['b', 'd']],
    ['b', ['c']],
    ['c', ['b']],
    ['d', []],
  ]);
  expect(findCycle(next)).toEqual(['b', 'c', 'b']);
});

/** The files of one cycle, the first again at the end, or null. */
function findCycle(next: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    path.push(file);
    for (const target of next.get(file) ?? []) {
      const cycle = visit(target);
      if (cycle !== null) return cycle;
    }
    path.pop();
    done.add(file);
    return null;
  };
  for (const file of next.keys()) {
    const cycle = visit(file);
    if (cycle !== null) return cycle;
  }
  return null;
}

describe('every file', () => {
  const files = [...sources, ...filesBelow('scripts', /\.mjs$/), ...filesBelow('tests/support', /\.ts$/)];

  test('says in its first line what it is for', () => {
    const wrong = files.filter((file) => !/^(#!.*\n)?\/\/ \S/.test(read(file)));
    expect(wrong, 'files without a // comment at the top').toEqual([]);
  });

  test(`has at most ${MAX_LINES} lines`, () => {
    const wrong = files
      .map((file) => ({ file, lines: read(file).split('\n').length - 1 }))
      .filter(({ lines }) => lines > MAX_LINES);
    expect(wrong, 'files that should be two').toEqual([]);
  });

  test('is not a drawer for odds and ends', () => {
    const wrong = files.filter((file) =>
      /(^|\/)(utils?|helpers?|managers?|services?|types|misc|common)(\/|\.)/.test(file),
    );
    expect(wrong, 'rooms and files are nouns of the domain').toEqual([]);
  });
});
