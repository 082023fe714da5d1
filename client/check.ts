// Checks what the gateway sends against the contract's schemas. Loaded only when asked for, since the schemas weigh more than the rest of the client.
import { methodNamed, notificationNamed } from '../protocol/contract.ts';
import { ContractError } from './connection-error.ts';
import type { Check } from './rpc.ts';

export const contractCheck: Check = {
  result(method, value) {
    const checked = methodNamed(method)?.result.safeParse(value);
    if (checked !== undefined && !checked.success) throw mismatch(`the reply to ${method}`, checked.error.issues);
  },
  notice(name, value) {
    const declaration = notificationNamed(name);
    if (declaration === undefined)
      throw new ContractError(`The gateway sent the notification ${name}, which there is not.`);
    const checked = declaration.params.safeParse(value);
    if (!checked.success) throw mismatch(name, checked.error.issues);
  },
};

interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

function mismatch(what: string, issues: readonly Issue[]): ContractError {
  const list = issues.map(({ path, message }) => `${path.map(String).join('.')}: ${message}`);
  return new ContractError(`The gateway broke the contract in ${what}: ${list.join('; ')}`);
}
