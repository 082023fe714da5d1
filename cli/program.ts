// The command line as a table: every command with its arguments and options. It decides nothing and does nothing itself.
import { Command, Option } from 'commander';
import { roles } from '../protocol/method.ts';
import { parseCount, parsePositive, parseTime, parseVariable } from './argument.ts';
import { attach } from './attach.ts';
import { doctor } from './doctor.ts';
import { exec } from './exec.ts';
import { listCasts, listSlots } from './list.ts';
import { open } from './open.ts';
import { pin } from './pin.ts';
import { play } from './play.ts';
import { serve } from './serve.ts';
import { token } from './token.ts';
import { verify } from './verify.ts';
import { watch } from './watch.ts';

type Options = Parameters<typeof exec>[2] &
  Parameters<typeof attach>[1] &
  Parameters<typeof play>[1] &
  Parameters<typeof listCasts>[0] &
  Parameters<typeof token>[0];

/** The program; `done` is given the exit code of the command that ran. */
export function slotcast(done: (exitCode: number) => void): Command {
  const program = new Command('slotcast')
    .description(
      'Sandboxed slots with living terminals for agents: run the gateway, and drive, watch and replay its slots.',
    )
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .addHelpText('after', HELP);
  const client = (line: string, text: string): Command =>
    program
      .command(line)
      .description(text)
      .option('--url <url>', 'of the gateway (SLOTCAST_URL, else http://127.0.0.1:8080)');

  program
    .command('serve')
    .description('runs the gateway; see slotcast serve --help')
    .helpOption(false)
    .allowUnknownOption()
    .argument('[flags...]')
    .action(async (flags: string[]) => done(await serve(flags)));

  drives(client('exec <slot> <command...>', 'runs a command in a slot; one word goes to bash as a script'))
    .option('--cwd <dir>', 'where it runs, relative to /workspace')
    .addOption(
      new Option('-e, --env <NAME=VALUE>', 'variable of the command; may be repeated').argParser(parseVariable),
    )
    .addOption(new Option('--timeout <time>', 'ends it after 90s, 15m, …').argParser(parseTime))
    .option('-n, --no-input', 'leaves stdin alone')
    .action(async (slot: string, words: string[], options: Options & { timeout?: number }) => {
      const { timeout, ...rest } = options;
      done(await exec(slot, words, timeout === undefined ? rest : { ...rest, timeoutMs: timeout }));
    });

  drives(client('attach <slot>', "the slot's terminal on this one"))
    .option('--detach-key <key>', 'leaves it, in tmux notation', 'C-]')
    .action(async (slot: string, options: Options) => done(await attach(slot, options)));

  client('watch <slot>', 'looks on; q leaves').action(async (slot: string, options: Options) =>
    done(await watch(slot, options)),
  );

  client('play <cast>', 'replays a recording (cast_…, or a file); space holds it, q leaves')
    .addOption(new Option('--speed <times>', 'faster than it was').argParser(parsePositive).default(1))
    .addOption(
      new Option('--idle-limit <seconds>', 'longest pause')
        .argParser(parsePositive)
        .default(Number.POSITIVE_INFINITY, 'none'),
    )
    .action(async (cast: string, options: Options) => done(await play(cast, options)));

  client('verify <cast>', 'checks that a recording (cast_…, or a file) is as it was recorded')
    .addHelpText('after', VERIFY_HELP)
    .action(async (cast: string, options: Options) => done(await verify(cast, options)));

  client('slots', 'lists the slots')
    .option('--json', 'for programs')
    .action(async (options: Options) => done(await listSlots(options)));

  client('casts', 'lists the recordings, newest first')
    .option('--slot <slot>', 'only of this slot')
    .option('--label <label>', 'only with this label')
    .addOption(new Option('--limit <number>', 'at most so many').argParser(parseCount).default(100))
    .option('--json', 'for programs')
    .action(async (options: Options) => done(await listCasts(options)));

  client('pin <cast>', 'keeps a recording whatever --keep-casts of the gateway says')
    .option('--off', 'no more')
    .action(async (cast: string, options: Options & { off?: boolean }) => done(await pin(cast, options)));

  client('token', 'makes a token and prints it')
    .addOption(new Option('--role <role>', 'what it allows').choices(roles).default('viewer'))
    .addOption(new Option('--slot <slot>', 'only for this slot').conflicts('cast'))
    .option('--cast <cast>', 'only for this recording, as a viewer')
    .addOption(
      new Option('--ttl <time>', 'how long it lasts: 90s, 15m, 1h, 7d').argParser(parseTime).default(3_600_000, '1h'),
    )
    .option('--data-dir <dir>', 'of the gateway on this host; with --url the gateway is asked instead')
    .action(async (options: Options) => done(await token(options)));

  client('open', 'prints an address that signs a browser in, once').action(async (options: Options) =>
    done(await open(options)),
  );

  client('doctor', 'what this host, or with --url the one of a gateway, can and cannot do')
    .option('--data-dir <dir>', 'tries it in this data directory instead of a temporary one')
    .option('--json', 'for programs')
    .action(async (options: Options) => done(await doctor(options)));

  return program;
}

/** Options of the commands that drive a slot. */
const drives = (command: Command): Command =>
  command
    .option('--takeover', 'drives a slot in use instead of its holder, and gives it back afterwards')
    .option('--keep', 'leaves the files in the slot afterwards')
    .option('--label <label>', 'names the lease for others; an agent takes over by it');

const VERIFY_HELP = `
Exit code: 0 it is intact and sealed; 1 a line was changed, added or is missing; 2 it has no seal or no chain; 3 it could not be checked.`;

const HELP = `
Between the options and a command stands --: slotcast exec new -- ls -l
SLOT is slot_0, slot_1, … or "new" for any free one, which is released and emptied afterwards.
The token is taken from SLOTCAST_TOKEN, or from the file "token" in the data directory of a gateway on this host.`;
