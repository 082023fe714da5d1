// What the host has no more of: no defect of ours, and over as soon as something is closed or removed.
import { Fault } from '../../protocol/fault.ts';

const CODES: Readonly<Record<string, string>> = {
  EMFILE: 'open files of the gateway (ulimit -n)',
  ENFILE: 'open files of the host',
  EAGAIN: 'processes of the gateway (ulimit -u)',
  ENOMEM: 'memory of the host',
};

/** The fault for an error of the system that says so; null for any other error. */
export function exhaustion(error: unknown): Fault | null {
  const code = (error as NodeJS.ErrnoException | null)?.code ?? '';
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new Fault('NO_SPACE', "The host's disk is full. Ask the operator.");
  const what = CODES[code];
  return what === undefined ? null : new Fault('RATE_LIMITED', `A limit is reached: ${what}. Try again in a moment.`);
}
