// What bwrap tells on its --json-status-fd: the only witness of whether a payload ran. Never reads anything that a payload can write.

export interface SandboxStatus {
  /** The sandbox's first process as the host sees it; null while there is none. */
  readonly childPid: number | null;
  /** Set only if the payload was really started and has ended: its code, or 128 + signal. */
  readonly exitCode: number | null;
}

/** The kernel's PID_MAX_LIMIT. */
const MAX_PID = 4 * 1024 * 1024;
const MAX_CODE = 255;

/** `text` is a JSON document a line; the last one may be cut. */
export function parseStatus(text: string): SandboxStatus {
  let childPid: number | null = null;
  let exitCode: number | null = null;
  for (const line of text.split('\n')) {
    const document = parsed(line);
    // It gets signals: 1, 0 and what is below mean others than a sandbox.
    if (isWithin(document['child-pid'], 2, MAX_PID)) childPid = document['child-pid'];
    if (isWithin(document['exit-code'], 0, MAX_CODE)) exitCode = document['exit-code'];
  }
  return { childPid, exitCode };
}

function parsed(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

const isWithin = (given: unknown, least: number, most: number): given is number =>
  typeof given === 'number' && Number.isInteger(given) && given >= least && given <= most;
