// What the program can't do, in one line that says what to do instead. No stack ever reaches the user.
import { ConnectionError, Fault } from '../client/index.ts';
import { harmless } from './table.ts';

/** Exit codes: it could not be done; it was asked for in a wrong way. */
export const FAILED = 1;
export const WRONG_USE = 2;

/** Ends the program with this line and this code. */
export class Complaint extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = FAILED) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Any error as a line for stderr. What a gateway, a file or its name says in it does nothing to the terminal. */
export function complain(error: unknown): { readonly line: string; readonly exitCode: number } {
  const exitCode = error instanceof Complaint ? error.exitCode : FAILED;
  return { line: `slotcast: ${harmless(textOf(error).replace(/\s*[\r\n]+\s*/g, ' '))}`, exitCode };
}

function textOf(error: unknown): string {
  if (error instanceof Fault) return `${error.message}${hintOf(error)}`;
  if (error instanceof ConnectionError && error.code === UNREACHED) {
    return `${error.message} Start one with slotcast serve, or name it by --url or SLOTCAST_URL.`;
  }
  return error instanceof Error ? error.message : String(error);
}

/** Close code of RFC 6455 for a connection that never was. */
const UNREACHED = 1006;

function hintOf({ fault, message }: Fault): string {
  if (fault === 'UNAUTHENTICATED') {
    return ' Give the token in SLOTCAST_TOKEN, or the data directory of the gateway in SLOTCAST_DATA_DIR.';
  }
  return fault === 'FORBIDDEN' && message.includes('role')
    ? ' A token with a wider role is made by slotcast token --role.'
    : '';
}
