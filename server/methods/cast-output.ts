// What one command of a recording printed, for people: an exec's from the memory of its lease, a terminal.run's from the recording.
// Nothing that would reach beyond the screen of who reads it gets through.
import type { Call, Result } from '../../protocol/contract.ts';
import { Fault } from '../../protocol/fault.ts';
import { ViewerText } from '../../protocol/viewer-text.ts';
import type { Library } from '../cast/library.ts';
import type { KeptOutput } from '../keeper/keeper.ts';
import { leftOut, shortened, textOf } from '../keeper/output.ts';
import type { Command } from '../slot/command.ts';
import type { Pool } from '../slot/pool.ts';

export interface CastOutputParts {
  readonly library: Pick<Library, 'command' | 'output'>;
  readonly pool: Pool;
}

/** Faults: CAST_NOT_FOUND, CAST_DAMAGED, PROCESS_NOT_FOUND. */
export async function castOutput(parts: CastOutputParts, call: Call<'cast.output'>): Promise<Result<'cast.output'>> {
  const { cast, process, maxBytes } = call;
  const lease = parts.pool.all().find((slot) => slot.lease?.cast === cast)?.lease ?? null;
  const kept = lease?.commands.all().find(({ id }) => id === process);
  if (kept !== undefined) {
    await kept.process.refresh();
    return keptOutput(kept, maxBytes);
  }
  const marker = await parts.library.command(cast, process);
  const { command, outcome, exitCode = null } = marker;
  const about = { process, command, outcome, exitCode };
  if (process.startsWith('r')) {
    const { kept: stdout, truncated } = await parts.library.output(cast, marker, maxBytes);
    return { ...about, stdout: textOf(stdout), stderr: '', truncated };
  }
  // It is just being started.
  if (lease !== null && outcome === 'running') return { ...about, stdout: '', stderr: '', truncated: false };
  throw new Fault('PROCESS_NOT_FOUND', lease === null ? LEASE_OVER : NOT_KEPT);
}

const LEASE_OVER =
  'The output of an exec is kept only as long as its lease lives, and that has ended. The recording has its command and outcome.';
const NOT_KEPT =
  'No output of that command is kept: it could not be started, or newer ones took its place. The recording has its outcome.';

function keptOutput({ id, shown: command, process }: Command, maxBytes: number): Result<'cast.output'> {
  const stdout = shortened(process.output('stdout'), maxBytes);
  const stderr = shortened(process.output('stderr'), maxBytes);
  return {
    process: id,
    command,
    outcome: process.end?.outcome ?? 'running',
    exitCode: process.end?.exitCode ?? null,
    stdout: shown(stdout),
    stderr: shown(stderr),
    truncated: leftOut(stdout) > 0 || leftOut(stderr) > 0,
  };
}

const shown = (output: KeptOutput): string => textOf(output, (text) => new ViewerText().push(text));
