#!/usr/bin/env node
// The program `slotcast`: runs one command and ends with its exit code; what goes wrong is one line on stderr.
import { CommanderError } from 'commander';
import { complain, WRONG_USE } from './complaint.ts';
import { slotcast } from './program.ts';
import { serve } from './serve.ts';

process.exitCode = await run(process.argv.slice(2));

async function run(argv: readonly string[]): Promise<number> {
  const [first, ...rest] = argv;
  try {
    // The gateway reads its own flags.
    if (first === 'serve') return await serve(rest);
    let exitCode = 0;
    const program = slotcast((code) => {
      exitCode = code;
    });
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return wrongUse(error);
    const { line, exitCode } = complain(error);
    process.stderr.write(`${line}\n`);
    return exitCode;
  }
}

function wrongUse({ exitCode, code, message }: CommanderError): number {
  if (exitCode === 0) return 0;
  const text = code === 'commander.help' ? 'which command?' : message.replace(/^error: /, '').replaceAll('\n', ' ');
  const hint = code === 'commander.unknownOption' ? ' Options of a command to run stand after --.' : '';
  process.stderr.write(`slotcast: ${/[.?]$/.test(text) ? text : `${text}.`}${hint} See slotcast --help.\n`);
  return WRONG_USE;
}
