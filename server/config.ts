// The one table of options: each is a flag of `slotcast serve`, a variable SLOTCAST_…, and a field of the --config file, in that order of weight.
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { z } from 'zod';
import { DEFAULT_DISK_LIMITS } from './keeper/disk-watch.ts';
import { DEFAULT_LIMITS } from './keeper/sandbox/policy.ts';

/** A bad option: one line that says what to change, whatever stood in the option. */
export class ConfigError extends Error {
  constructor(message: string) {
    super(message.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' '));
  }
}

/** Of digits alone: whatever else could be counted as a number (nothing, null, a list) is a mistake. */
const whole = (min: number, max: number) =>
  z.preprocess(
    (given) => (typeof given === 'string' && /^\s*\d{1,15}\s*$/.test(given) ? Number(given) : given),
    z.int().min(min).max(max),
  );
const flag = z.union([z.boolean(), z.stringbool()]);
const list = z.union([z.array(z.string()), z.string().transform((text) => text.split(',').filter(Boolean))]);

const DAY_MS = 86_400_000;
const AGES_MS: Readonly<Record<string, number>> = { s: 1000, min: 60_000, h: 3_600_000, d: DAY_MS, w: 7 * DAY_MS };

/** How long recordings are kept: an age (`14d`), a size of all (`20GB`), or both; or `off`. A lone m would be minutes to one and megabytes to the next. */
const keepRule = z.string().transform((text, context) => {
  const rule: { maxAgeMs: number | null; maxBytes: number | null } = { maxAgeMs: null, maxBytes: null };
  if (text.trim() === 'off') return rule;
  for (const part of text.split(',').map((word) => word.trim())) {
    const [, number, unit = ''] = /^([1-9]\d{0,8})(s|min|h|d|w)$/.exec(part) ?? [];
    const isSize = /^\d+(?:\.\d+)? ?(?:[kgt](?:i?b)?|mi?b)$/i.test(part) && bytesOf(part) > 0;
    if (number !== undefined && rule.maxAgeMs === null) rule.maxAgeMs = Number(number) * (AGES_MS[unit] ?? DAY_MS);
    else if (isSize && rule.maxBytes === null) rule.maxBytes = bytesOf(part);
    else {
      context.addIssue('give an age (s, min, h, d, w), a size (KB, MB, GB, TB), or both with a comma between');
      return z.NEVER;
    }
  }
  return rule;
});

const UNITS = 'KMGT';
/** Bytes: a number, or one with K, M, G or T behind it (also KiB, KB: all count by 1024). */
const size = (min: number) =>
  z
    .union([z.number(), z.string().transform(bytesOf)])
    .pipe(z.int('give a size such as 512M, 4G or 1048576').min(min).max(Number.MAX_SAFE_INTEGER));

function bytesOf(text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?) ?([KMGT])?(?:i?B)?$/i.exec(text.trim()) ?? [];
  const power = unit === '' ? 0 : UNITS.indexOf(unit.toUpperCase()) + 1;
  return number === undefined ? Number.NaN : Math.round(Number(number) * 1024 ** power);
}

interface ConfigOption {
  readonly flags: string;
  readonly text: string;
  readonly schema: z.ZodType;
}

const option = <S extends z.ZodType>(flags: string, text: string, schema: S) => ({ flags, text, schema });

export const options = {
  host: option('--host <address>', 'address to listen on', z.string().min(1).default('127.0.0.1')),
  port: option('--port <number>', 'port to listen on; 0 takes a free one', whole(0, 65_535).default(8080)),
  slots: option('--slots <number>', 'how many slots', whole(1, 10_000).default(10)),
  dataDir: option('--data-dir <dir>', 'where slots, recordings and secrets lie', z.string().min(1).optional()),
  network: option(
    '--network <none|host>',
    'the most network that a slot gets',
    z.enum(['none', 'host']).default('none'),
  ),
  sandbox: option(
    '--sandbox <bwrap|none>',
    'none runs commands unsandboxed',
    z.enum(['bwrap', 'none']).default('bwrap'),
  ),
  auth: option('--auth <token|none>', 'none lets everybody in', z.enum(['token', 'none']).default('token')),
  httpApi: option(
    '--http-api <off|token|open>',
    'the HTTP API of the sandbox server that came before; open needs no token',
    z.enum(['off', 'token', 'open']).default('off'),
  ),
  mount: option('--mount <SRC:DST[:ro]>', 'shows a host directory in every slot; may be repeated', list.default([])),
  record: option(
    '--record <strict|best-effort>',
    'when a recording cannot be written: strict stops what runs in the slot, best-effort lets it go on',
    z.enum(['strict', 'best-effort']).default('best-effort'),
  ),
  keepCasts: option(
    '--keep-casts <14d,20GB|off>',
    'the oldest recordings are removed when they are older, or all together larger; pinned ones never',
    keepRule.prefault('off'),
  ),
  recordInput: option('--record-input', 'records what is typed, passwords too', flag.default(false)),
  allowHost: option(
    '--allow-host <name>',
    'a further Host and Origin name that browsers may use; may be repeated',
    list.default([]),
  ),
  graceMs: option('--grace-ms <ms>', 'how long a lease outlives its connection', whole(0, 86_400_000).default(60_000)),
  drainMs: option(
    '--drain-ms <ms>',
    'how long running commands may go on when the gateway is stopped; 0 = not at all',
    whole(0, 86_400_000).default(5000),
  ),
  keep: option('--keep', 'leaves the slots alive when the gateway is stopped, for the next one', flag.default(false)),
  replace: option('--replace', 'takes the place of the gateway that runs there; its slots go on', flag.default(false)),
  keeperAloneMs: option(
    '--keeper-alone-ms <ms>',
    'how long slots live on without any gateway; 0 = for ever',
    whole(0, 2_000_000_000).default(3_600_000),
  ),
  maxProcesses: option(
    '--max-processes <number>',
    'commands that one slot may run at once',
    whole(1, 10_000).default(64),
  ),
  maxMemory: option(
    '--max-memory <size>',
    'memory of one slot, where control groups can be written; 0 = no limit',
    size(0).default(DEFAULT_LIMITS.memoryBytes),
  ),
  maxPids: option(
    '--max-pids <number>',
    'processes and threads of one command or terminal; of a slot eight times as many',
    whole(16, 1_000_000).default(DEFAULT_LIMITS.processes),
  ),
  maxOpenFiles: option(
    '--max-open-files <number>',
    'open files of one process',
    whole(64, 1_000_000).default(DEFAULT_LIMITS.openFiles),
  ),
  maxFileSize: option(
    '--max-file-size <size>',
    'size of one file that a command writes',
    size(1024 * 1024).default(DEFAULT_LIMITS.fileBytes),
  ),
  maxShm: option(
    '--max-shm <size>',
    '/dev/shm of one command or terminal',
    size(4096).default(DEFAULT_LIMITS.shmBytes),
  ),
  maxDisk: option(
    '--max-disk <size>',
    'workspace and /tmp of one slot; what runs in one that holds more is stopped; 0 = no limit',
    size(0).default(DEFAULT_DISK_LIMITS.diskBytes),
  ),
  maxFiles: option(
    '--max-files <number>',
    'files and directories in them; 0 = no limit',
    whole(0, 1_000_000_000).default(DEFAULT_DISK_LIMITS.files),
  ),
  minFreeDisk: option(
    '--min-free-disk <size>',
    "with less free on the data directory's file system, slots that grow are stopped; 0 = none",
    size(0).default(DEFAULT_DISK_LIMITS.minFreeBytes),
  ),
  tokenFile: option(
    '--token-file <file>',
    "a file with the admin's token of 32 characters or more, instead of a made one; empty = none",
    z.string().min(1).optional(),
  ),
  requireSandbox: option(
    '--require-sandbox',
    'does not start where no sandbox can be made, and says what is missing',
    flag.default(false),
  ),
  uidBase: option(
    '--uid-base <uid>',
    'first of the user ids that slots get under root',
    whole(1000, 2_000_000_000).default(210_000),
  ),
  logLevel: option(
    '--log-level <level>',
    'trace, debug, info, warn, error or silent',
    z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
  ),
} as const satisfies Record<string, ConfigOption>;

type OptionName = keyof typeof options;
type Values = { [N in OptionName]: z.output<(typeof options)[N]['schema']> };

export interface Mount {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

export interface Config extends Omit<Values, 'dataDir' | 'mount'> {
  readonly dataDir: string;
  /** SLOTCAST_TOKEN, or what stands in tokenFile: the admin's credential, chosen by the operator. No flag: other users of the host could read it. */
  readonly token: string | undefined;
  readonly mounts: readonly Mount[];
}

export interface ConfigSources {
  /** Flags, without the program's name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isRoot: boolean;
}

/** Reads flags, variables and the config file; throws ConfigError for the first bad one, CommanderError after --help. */
export function readConfig({ argv, env, isRoot }: ConfigSources): Config {
  const flags = readFlags(argv);
  const configFile = typeof flags['config'] === 'string' ? flags['config'] : env['SLOTCAST_CONFIG'];
  const file = configFile === undefined ? {} : readFile(configFile);
  const values = Object.fromEntries(
    (Object.keys(options) as OptionName[]).map((name) => {
      const given = flags[name] ?? env[variableOf(name)] ?? file[name];
      return [name, checked(name, given)];
    }),
  ) as Values;
  refuseOpenHouse(values);
  const { dataDir, mount, ...rest } = values;
  const token = env['SLOTCAST_TOKEN'] || tokenIn(rest.tokenFile);
  return { ...rest, token, dataDir: resolve(dataDir ?? defaultDataDir(env, isRoot)), mounts: mount.map(parseMount) };
}

/** Nothing for an empty file, as for an empty SLOTCAST_TOKEN. */
function tokenIn(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, 'utf8').trim() || undefined;
  } catch (error) {
    throw new ConfigError(`--token-file ${file} cannot be read: ${(error as Error).message}`);
  }
}

/** Where data lies when nobody says: also where the command line's clients look for the token. */
export function defaultDataDir(env: Readonly<Record<string, string | undefined>>, isRoot: boolean): string {
  if (env['NOMAD_ALLOC_DIR']) return join(env['NOMAD_ALLOC_DIR'], 'data');
  if (isRoot) return '/var/lib/slotcast';
  return join(env['XDG_DATA_HOME'] || join(homedir(), '.local', 'share'), 'slotcast');
}

function readFlags(argv: readonly string[]): Record<string, unknown> {
  const command = new Command('slotcast serve')
    .description('Runs the gateway.')
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .addOption(new Option('--config <file>', 'JSON file with any of these options, named in camelCase'));
  for (const { flags, text, schema } of Object.values(options))
    command.addOption(repeatable(new Option(flags, text), schema));
  try {
    return command.parse([...argv], { from: 'user' }).opts();
  } catch (error) {
    if (!(error instanceof CommanderError) || error.exitCode === 0) throw error;
    throw new ConfigError(`${error.message.replace(/^error: /, '')}. See slotcast serve --help.`);
  }
}

/** An option that takes a list is given once for each entry. */
function repeatable(flags: Option, schema: z.ZodType): Option {
  const takesList = schema.safeParse([]).success;
  return takesList
    ? flags.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value])
    : flags;
}

function readFile(file: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'));
    const values = z.record(z.string(), z.unknown()).parse(parsed);
    const unknown = Object.keys(values).find((name) => !Object.hasOwn(options, name));
    if (unknown !== undefined) throw new ConfigError(`the config file has an unknown option: ${unknown}`);
    return values;
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(
      `the config file ${file} cannot be read as a JSON object: ${(error as Error).message.split('\n')[0]}`,
    );
  }
}

const variableOf = (name: string): string =>
  `SLOTCAST_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;

/** What options are read of the environment by. */
export const variables: readonly string[] = ['SLOTCAST_TOKEN', ...Object.keys(options).map(variableOf)];

function checked(name: OptionName, given: unknown): unknown {
  const { flags, schema } = options[name];
  const result = (schema as z.ZodType).safeParse(given);
  if (result.success) return result.data;
  const wanted = /<(.*)>/.exec(flags)?.[1] ?? 'true or false';
  throw new ConfigError(
    `${flags.split(' ')[0]} takes ${wanted}, not ${JSON.stringify(given)} (${result.error.issues[0]?.message})`,
  );
}

/** Without tokens the gateway may be reached from this host only, and not by what runs in its slots. */
function refuseOpenHouse({ auth, host, network, httpApi }: Values): void {
  if (httpApi === 'open' && !isLoopback(host)) {
    throw new ConfigError(
      `--http-api open is for loopback addresses only, and ${host} is none. Use --host 127.0.0.1 or --http-api token.`,
    );
  }
  if (httpApi === 'open' && network === 'host') {
    throw new ConfigError(
      '--http-api open with --network host would let every command drive every slot. Use --http-api token.',
    );
  }
  if (auth === 'none' && !isLoopback(host)) {
    throw new ConfigError(
      `--auth none is for loopback addresses only, and ${host} is none. Use --host 127.0.0.1 or --auth token.`,
    );
  }
  if (auth === 'none' && network === 'host') {
    throw new ConfigError(
      '--auth none with --network host would let every command drive every slot. Use --auth token.',
    );
  }
}

export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);

function parseMount(text: string): Mount {
  const [source, target, mode, ...more] = text.split(':');
  const right = source !== undefined && target !== undefined && isAbsolute(source) && isAbsolute(target);
  if (!right || more.length > 0 || !(mode === undefined || mode === 'ro' || mode === 'rw')) {
    throw new ConfigError(`--mount takes SRC:DST or SRC:DST:ro with absolute paths, not ${JSON.stringify(text)}`);
  }
  return { source, target, readOnly: mode === 'ro' };
}
