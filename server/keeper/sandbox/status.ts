// What bwrap tells on its --json-status-fd: the only witness of whether a payload ran. Never reads anything that a payload can write.

export interface SandboxStatus {
  /** The sandbox's first process as the host sees it; null while there is none. */
  readonly childPid: number | null;
  /** Set only if the payload was really started and has ended: its code, or 128 + signal. */
  readonly exitCode: number | null;
}

/** `text` is a JSON document a line; the last one may be cut. */
export function parseStatus(text: string): SandboxStatus {
  let childPid: number | null = null;
  let exitCode: number | null = null;
  for (const line of text.split('\n')) {
    const document = parsed(line);
    if (typeof document['child-pid'] === 'number') childPid = document['child-pid'];
    if (typeof document['exit-code'] === 'number') exitCode = document['exit-code'];
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
