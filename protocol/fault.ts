// The fault catalog: every error that may cross the wire, with its code and HTTP status. Outcomes of commands are results, never faults.

/** Whether sending the same call again can help: never, at once, or after something changed (see the message). */
export type Retry = 'no' | 'yes' | 'after';

interface FaultEntry {
  readonly code: number;
  readonly http: number;
  readonly retry: Retry;
  /** One sentence for docs: what happened and what to do. */
  readonly meaning: string;
}

const entry = (code: number, http: number, retry: Retry, meaning: string): FaultEntry => ({
  code,
  http,
  retry,
  meaning,
});

export const faults = {
  PARSE_ERROR: entry(-32700, 400, 'no', 'The message is not JSON. Send one JSON-RPC message or batch per text frame.'),
  INVALID_REQUEST: entry(-32600, 400, 'no', 'The message is JSON but not a JSON-RPC 2.0 request, or its id is in use.'),
  METHOD_NOT_FOUND: entry(-32601, 404, 'no', 'There is no such method. rpc.discover lists them all.'),
  INVALID_PARAMS: entry(-32602, 400, 'no', 'The params do not fit the method; the message names the field.'),
  INTERNAL: entry(-32603, 500, 'after', 'A defect in the gateway. data.id finds it in the log.'),
  UNAUTHENTICATED: entry(1001, 401, 'no', 'No credential, or one that is wrong, expired or revoked.'),
  FORBIDDEN: entry(1002, 403, 'no', 'The credential does not allow this.'),
  NOT_BOUND: entry(1003, 409, 'no', 'This connection drives no slot yet. Call slot.acquire first.'),
  RESUME_GONE: entry(1004, 410, 'no', 'The lease of this resume token has ended. Acquire anew.'),
  CANCELLED: entry(1005, 499, 'no', 'The call was cancelled and what it started was stopped.'),
  RATE_LIMITED: entry(1006, 429, 'after', 'Too many calls in a short time. Wait and send again.'),
  SHUTTING_DOWN: entry(1007, 503, 'after', 'The gateway is shutting down and takes no new work.'),
  KEY_CONFLICT: entry(1008, 409, 'no', 'The same key was used before with other params.'),
  SLOT_NOT_FOUND: entry(2001, 404, 'no', 'There is no such slot. slot.list lists them.'),
  SLOT_BUSY: entry(2002, 409, 'after', 'The slot is leased, resetting or failed.'),
  NO_FREE_SLOT: entry(
    2003,
    503,
    'after',
    'Every slot is in use. Wait for one, or start the gateway with more --slots.',
  ),
  LEASE_LOST: entry(2004, 409, 'no', 'The lease of this connection has ended: released, expired or taken over.'),
  SANDBOX_UNAVAILABLE: entry(3001, 503, 'after', 'The sandbox could not start, so nothing ran. See slotcast doctor.'),
  PROCESS_NOT_FOUND: entry(3002, 404, 'no', 'There is no such process in this slot.'),
  STDIN_CLOSED: entry(3003, 409, 'no', "The process has no open stdin. Start it with stdin: 'open'."),
  TOO_MANY_PROCESSES: entry(3004, 429, 'after', 'The slot runs as many commands as it may. Wait for one to end.'),
  TERMINAL_ENDED: entry(4001, 409, 'yes', 'The shell ended while the call waited. The next call starts a new one.'),
  TERMINAL_BUSY: entry(
    4003,
    409,
    'after',
    'The terminal is in use by a program. End it by keys, or wait for the prompt.',
  ),
  PATH_OUTSIDE: entry(5001, 403, 'no', 'The path leads out of the workspace.'),
  FILE_NOT_FOUND: entry(5002, 404, 'no', 'There is no such file or directory.'),
  WRONG_FILE_KIND: entry(
    5003,
    409,
    'no',
    'The path is of another kind than the call needs: file, directory, link or special file.',
  ),
  TOO_LARGE: entry(
    5004,
    413,
    'no',
    'More bytes or entries than the limit. Use the streaming HTTP route or ask for less.',
  ),
  HASH_MISMATCH: entry(5005, 412, 'no', 'The file is not the one that expectedSha256 names. Read it again.'),
  NO_SPACE: entry(5006, 507, 'after', 'The disk or the quota is full. Nothing was changed.'),
  CAST_NOT_FOUND: entry(6001, 404, 'no', 'There is no such recording.'),
  CAST_DAMAGED: entry(6002, 422, 'no', 'The recording cannot be read beyond the line that the message names.'),
  OWNER_UNREACHABLE: entry(7001, 502, 'after', 'The host that owns the slot does not answer.'),
} as const satisfies Record<string, FaultEntry>;

export type FaultName = keyof typeof faults;

export interface FaultData {
  readonly name: FaultName;
  readonly retry: Retry;
  readonly [detail: string]: unknown;
}

/** An error of the catalog. `message` says what happened and what to do; `detail` is merged into `data` on the wire. */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly fault: FaultName;
  readonly detail: Readonly<Record<string, unknown>>;

  constructor(fault: FaultName, message?: string, detail: Readonly<Record<string, unknown>> = {}) {
    super(message ?? faults[fault].meaning);
    this.fault = fault;
    this.detail = detail;
  }

  get code(): number {
    return faults[this.fault].code;
  }

  get http(): number {
    return faults[this.fault].http;
  }

  get data(): FaultData {
    return { ...this.detail, name: this.fault, retry: faults[this.fault].retry };
  }
}
