// Options from flags, variables and a file: whatever they are, a gateway's config or one line that says what to change.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommanderError } from 'commander';
import fc from 'fast-check';
import { afterAll, expect, test, vi } from 'vitest';
import { type Config, ConfigError, options, readConfig } from '../../server/config.ts';
import { asked, timeout } from './fuzz.ts';
import { oddText } from './mutation.ts';

const directory = mkdtempSync(join(tmpdir(), 'slotcast-config-'));
const file = join(directory, 'config.json');
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const names = Object.keys(options);
const flagNames = Object.values(options).map(({ flags }) => flags.split(' ')[0] ?? '');
const variables = names.map((name) => `SLOTCAST_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`);
const value = fc.oneof(
  fc.constantFrom(
    '1',
    '0',
    '8080',
    '127.0.0.1',
    'none',
    'host',
    'token',
    'off',
    'true',
    '/a:/b',
    '/a:/b:ro',
    'info',
    ' ',
    '0x1f',
    '1e3',
  ),
  oddText,
  fc.string({ unit: 'binary' }),
);
const json = fc.oneof(value, fc.jsonValue(), fc.constantFrom(null, true, [], {}, [1], [null], 1e308, -0, 0.5));
const argument = fc.oneof(
  fc.constantFrom(...flagNames, '--config', '--', '-h', '--help', '--version', '--no-auth'),
  value,
);
const argv = fc.array(
  fc.oneof(
    argument.map((one) => [one]),
    fc.tuple(fc.constantFrom(...flagNames), value).map(([name, given]) => [name, given]),
    fc.tuple(fc.constantFrom(...flagNames), value).map(([name, given]) => [`${name}=${given}`]),
  ),
  { maxLength: 4 },
);
const env = fc.dictionary(fc.constantFrom(...variables, 'SLOTCAST_TOKEN', 'NOMAD_ALLOC_DIR', 'XDG_DATA_HOME'), value, {
  maxKeys: 3,
});
const fileText = fc.oneof(
  fc
    .dictionary(fc.oneof(fc.constantFrom(...names), oddText), json, { maxKeys: 3 })
    .map((given) => JSON.stringify(given)),
  fc.json(),
  fc.string({ unit: 'binary' }),
);

/** The config, or null for an error of the promised kind. */
function read(sources: Parameters<typeof readConfig>[0]): Config | null {
  const printed = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  try {
    return readConfig(sources);
  } catch (error) {
    // --help is no error, and its text is of no use here.
    if (error instanceof CommanderError && error.exitCode === 0) return null;
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
    return null;
  } finally {
    printed.mockRestore();
  }
}

function expectSound(config: Config): void {
  expect(config.dataDir).toMatch(/^\//);
  for (const number of [config.port, config.slots, config.graceMs, config.maxProcesses, config.uidBase]) {
    expect(Number.isSafeInteger(number)).toBe(true);
  }
  for (const { source, target } of config.mounts) expect([source[0], target[0]]).toEqual(['/', '/']);
  if (config.auth === 'none')
    expect([config.network, /^(127\.|::1|localhost)/.test(config.host)]).toEqual(['none', true]);
}

test('any flags, variables and file are a config or one line of refusal', { timeout }, () => {
  fc.assert(
    fc.property(argv, env, fc.option(fileText, { nil: undefined }), fc.boolean(), (flags, given, text, isRoot) => {
      if (text !== undefined) writeFileSync(file, text);
      const config = read({
        argv: flags.flat(),
        env: { ...given, ...(text === undefined ? {} : { SLOTCAST_CONFIG: file }) },
        isRoot,
      });
      if (config !== null) expectSound(config);
    }),
    asked(300),
  );
});

test('a number is taken from digits alone: no empty text, list or null becomes 0', { timeout }, () => {
  const numbers = ['port', 'slots', 'graceMs', 'maxProcesses', 'uidBase'] as const;
  fc.assert(
    fc.property(fc.constantFrom(...numbers), json, (name, given) => {
      writeFileSync(file, JSON.stringify({ [name]: given }));
      const config = read({ argv: ['--config', file], env: {}, isRoot: false });
      if (config === null) return;
      expect(typeof given === 'number' || /^\s*\d+\s*$/.test(String(given))).toBe(true);
      expect(config[name]).toBe(Number(given) + 0);
    }),
    asked(200),
  );
});
