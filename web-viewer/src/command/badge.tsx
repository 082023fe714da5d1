// How a command ended, by colour, sign and words at once.
import type { Marker } from '../../../client/index.ts';

export type Outcome = NonNullable<Marker['outcome']>;

export interface Ended {
  readonly outcome: Outcome;
  readonly exitCode: number | null;
  readonly signal?: string | null;
  readonly limit?: Marker['limit'];
}

export function Badge(ended: Ended) {
  const { kind, sign, text } = describe(ended);
  return (
    <span class={`badge ${kind}`} title={text}>
      <i aria-hidden="true">{sign}</i>
      <span class="unseen">{text}</span>
    </span>
  );
}

/** As words, for where there is room. */
export const outcomeText = (ended: Ended): string => describe(ended).text;

export const isFailure = ({ outcome, exitCode }: Ended): boolean =>
  outcome !== 'running' && !(outcome === 'exited' && exitCode === 0);

/** What of the limits that end a command or make it fail. */
const limitText: Readonly<Record<string, string>> = {
  memory: 'out of memory',
  processes: 'too many processes',
  disk: 'too much on disk',
};

function describe(ended: Ended): { kind: string; sign: string; text: string } {
  const { kind, sign, text } = describeEnd(ended);
  const struck = limitText[ended.limit ?? ''];
  return { kind, sign, text: struck === undefined ? text : `${text}: ${struck}` };
}

function describeEnd({ outcome, exitCode, signal }: Ended): { kind: string; sign: string; text: string } {
  if (outcome === 'running') return { kind: 'running', sign: '▶', text: 'running' };
  if (outcome === 'timedOut') return { kind: 'failed', sign: '⏱', text: 'stopped by its time limit' };
  if (outcome === 'lost') return { kind: 'unknown', sign: '?', text: 'its end was not seen' };
  if (outcome === 'signaled') return { kind: 'failed', sign: '⚡', text: `ended by ${signal ?? 'a signal'}` };
  if (exitCode === 0) return { kind: 'ok', sign: '✓', text: 'exit 0' };
  return { kind: 'failed', sign: String(exitCode ?? '✗'), text: `exit ${exitCode ?? 'unknown'}` };
}
