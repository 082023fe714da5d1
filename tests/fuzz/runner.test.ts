// The line between the gateway and a sandbox, both ways: an order arrives as it was given, and whatever comes back, from a runner that was
// taken over too, is at most the end of its own command.
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { execExit } from '../../protocol/exec.ts';
import { ending } from '../../server/keeper/process.ts';
import { DEFAULT_POLICY } from '../../server/keeper/sandbox/policy.ts';
import { RunnerReport, type RunnerWord } from '../../server/keeper/sandbox/runner.ts';
import { Sandbox } from '../../server/keeper/sandbox/sandbox.ts';
import { parseStatus } from '../../server/keeper/sandbox/status.ts';
import { ProcessWalls } from '../../server/keeper/sandbox/walls.ts';
import { type Home, makeHome, order, run } from '../unit/keeper/place-fixture.ts';
import { asFound, asked, timeout } from './fuzz.ts';
import { damage, pieces } from './mutation.ts';

let home: Home;
beforeAll(async () => {
  home = await makeHome();
});
afterAll(() => home?.remove());

const SAID = Buffer.from('ready\npid 12345\nend 256\n');
const line = fc.oneof(
  fc.constantFrom('ready', 'pid 1', 'end 0', 'end 9', 'end', 'end NaN', 'end -1', 'end 65536', 'end 1e2', 'k', 's9'),
  fc.string({ unit: 'binary', maxLength: 80 }),
);
const said = fc.oneof(
  damage([SAID]).map((change) => change(SAID)),
  fc.array(line, { maxLength: 12 }).map((lines) => Buffer.from(lines.join('\n'))),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
);

function wordsOf(parts: readonly Uint8Array[]): RunnerWord[] {
  const report = new RunnerReport();
  return parts.flatMap((part) => report.take(Buffer.from(part).toString('latin1')));
}

test('any bytes of a runner are the same words however they are cut, and each is of the right form', {
  timeout,
}, () => {
  fc.assert(
    fc.property(said, fc.array(fc.nat(), { maxLength: 8 }), (bytes, cuts) => {
      const words = wordsOf([bytes]);
      expect(wordsOf(pieces(bytes, cuts))).toEqual(words);
      for (const word of words) {
        if (typeof word === 'string') expect(['ready', 'pid']).toContain(word);
        else expect(Number.isInteger(word.waitStatus) && word.waitStatus >= 0 && word.waitStatus <= 0xffff).toBe(true);
      }
    }),
    asked(1000),
  );
});

test('whatever was reported, the outcome is one that the protocol knows', { timeout }, () => {
  const waitStatus = fc.option(fc.integer({ min: 0, max: 0xffff }));
  const code = fc.option(fc.integer({ min: 0, max: 255 }));
  const stoppedBy = fc.option(fc.constantFrom('total', 'idle', 'kill'));
  fc.assert(
    fc.property(waitStatus, code, stoppedBy, (status, exitCode, by) => {
      const end = ending({ waitStatus: status, exitCode }, by);
      const {
        outcome,
        exitCode: told,
        signal,
      } = execExit.pick({ outcome: true, exitCode: true, signal: true }).parse(end);
      expect(outcome === 'exited').toBe(told !== null);
      // Only what was reported is an exit: bwrap's own code says nothing of the command's.
      if (outcome === 'exited') expect(told).toBe((status ?? -1) >> 8);
      if (outcome === 'exited' || outcome === 'lost') expect(signal).toBeNull();
    }),
    asked(2000),
  );
});

test('any text on the status descriptor names a process that may be killed, or none', { timeout }, () => {
  const text = Buffer.from('{ "child-pid": 123, "net-namespace": 4026531840 }\n{ "exit-code": 0 }\n');
  const status = fc.oneof(
    damage([text]).map((change) => change(text).toString()),
    fc
      .tuple(fc.jsonValue(), fc.jsonValue())
      .map(([pid, code]) => JSON.stringify({ 'child-pid': pid, 'exit-code': code })),
    fc.string({ unit: 'binary' }),
  );
  fc.assert(
    fc.property(status, (given) => {
      const { childPid, exitCode } = parseStatus(given);
      expect(childPid === null || (Number.isInteger(childPid) && childPid > 1)).toBe(true);
      expect(exitCode === null || (exitCode >= 0 && exitCode <= 255)).toBe(true);
    }),
    asked(1500),
  );
});

test('a runner that says anything at all ends as one that did, and never as more than one end', {
  timeout,
}, async () => {
  const policy = { ...DEFAULT_POLICY, sandbox: 'none' } as const;
  await fc.assert(
    fc.asyncProperty(said, async (bytes) => {
      // What is written to it comes back on the descriptor of the runner's reports.
      const child = spawn('/bin/sh', ['-c', 'exec cat >&3'], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
      const sandbox = new Sandbox({ policy, place: home.place, network: 'none' }, new ProcessWalls(child, false));
      let ends = 0;
      sandbox.run({ ...order('true', { stdin: 'open' }) }, { output: () => {}, dead: () => void ends++ });
      sandbox.stdin.end(bytes);
      const words = wordsOf([bytes]);
      const first = words.find((word) => typeof word !== 'string');
      const end = await sandbox.closed;
      expect(end).toEqual({ waitStatus: typeof first === 'object' ? first.waitStatus : null, exitCode: null });
      expect(ends).toBe(first === undefined ? 0 : 1);
      const ready = await sandbox.ready.then(
        () => true,
        () => false,
      );
      expect(ready).toBe(words.includes('ready'));
    }),
    asked(16, asFound),
  );
});

/** No process can be given a NUL; half a surrogate pair has no bytes. */
const argument = fc
  .oneof(
    fc.string({ unit: 'binary', maxLength: 30 }),
    fc.constantFrom(
      '',
      ' ',
      '-',
      '--',
      '-n',
      '$(id)',
      '`id`',
      '\n',
      '\r\n',
      "'",
      '"',
      '\\',
      '%s',
      '*',
      '0',
      '\x1b[2J',
      '\u202e',
    ),
    fc.string({ minLength: 5000, maxLength: 20_000 }),
  )
  .map((text) => text.replaceAll('\0', '').toWellFormed());
const variables = fc.dictionary(fc.stringMatching(/^F_[A-Za-z0-9_]{0,12}$/), argument, { maxKeys: 5 });
const directoryName = argument.map((text) => `d${text.replaceAll('/', '_').slice(0, 60)}`.toWellFormed());

/** Arguments, variables and directory, each with a NUL behind it. */
const TELL =
  'print map { "$_\\0" } scalar @ARGV, @ARGV, (map { "$_=$ENV{$_}" } grep { /^F_/ } sort keys %ENV), readlink "/proc/self/cwd"';

test('arguments, variables and directory of any text arrive as they were given', { timeout }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(argument, { maxLength: 6 }), variables, directoryName, async (args, env, name) => {
      const path = join(home.place.workspace, name);
      mkdirSync(path, { recursive: true });
      chmodSync(path, 0o755);
      const cwd = `/workspace/${name}`;
      const ran = await run(home.place, ['/usr/bin/perl', '-e', TELL, '--', ...args], { env, cwd });
      expect(ran).toMatchObject({ outcome: 'exited', exitCode: 0, stderr: '' });
      const sorted = Object.keys(env)
        .sort()
        .map((key) => `${key}=${env[key]}`);
      expect(ran.stdout).toBe([args.length, ...args, ...sorted, cwd].map((text) => `${text}\0`).join(''));
    }),
    asked(16, asFound),
  );
});

test('a script of any text says what it says, short or longer than an argument can be', { timeout }, async () => {
  const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
  await fc.assert(
    fc.asyncProperty(argument, fc.boolean(), async (text, long) => {
      const padding = long ? `\n#${'é'.repeat(60_000)}` : '';
      const ran = await run(home.place, `printf %s ${quoted(text)}${padding}`);
      expect(ran).toMatchObject({ outcome: 'exited', exitCode: 0, stdout: text, stderr: '' });
    }),
    asked(8, asFound),
  );
});
