// Errors of the way to the gateway, as opposed to a Fault, which the gateway itself replied. Each says whether something may have happened.

/** There is no connection, so the call was not made, or its reply is not to be had. */
export class ConnectionError extends Error {
  override readonly name: string = 'ConnectionError';
  /** WebSocket close code, where there was one. */
  readonly code: number | null;

  constructor(message: string, code: number | null = null) {
    super(message);
    this.code = code;
  }
}

/** The connection was lost after the call was sent and before its reply came, and sending it again could do it twice. */
export class UnconfirmedError extends ConnectionError {
  override readonly name: string = 'UnconfirmedError';
  readonly method: string;

  constructor(method: string, why: string, code: number | null = null) {
    super(
      `${method}: ${why.replace(/\.$/, '')}. It is unknown whether it took effect: look before you repeat it.`,
      code,
    );
    this.method = method;
  }
}

/** The gateway sent something that the contract does not allow; only checked when `validate` is on. */
export class ContractError extends Error {
  override readonly name: string = 'ContractError';
}
