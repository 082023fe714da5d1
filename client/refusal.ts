// What the gateway replies when it refuses, as a Fault: the error of a call, or the body of an HTTP reply. Pure.
import { isFaultName } from '../protocol/envelope.ts';
import { Fault, type FaultName, faults } from '../protocol/fault.ts';
import { ConnectionError } from './connection-error.ts';

type Given = Readonly<Record<string, unknown>>;

/** The `error` of a JSON-RPC reply. One of a newer gateway's faults becomes INTERNAL, with what it said in `detail`. */
export function faultOfError(error: Given): Fault {
  const data = isRecord(error['data']) ? error['data'] : {};
  const { name, retry, ...detail } = data;
  const message = typeof error['message'] === 'string' ? error['message'] : undefined;
  if (isFaultName(name)) return new Fault(name, message, detail);
  const byCode = (Object.keys(faults) as FaultName[]).find((known) => faults[known].code === error['code']);
  if (byCode !== undefined) return new Fault(byCode, message, detail);
  return new Fault('INTERNAL', message, { ...detail, gatewayCode: error['code'], gatewayName: name });
}

/** An HTTP reply that is no success: `{error: {code, message, data}}`, or whatever a proxy on the way says. */
export function faultOfReply(status: number, body: string): Fault | ConnectionError {
  const error = errorOf(body);
  if (error !== null) return faultOfError(error);
  if (status === 401) return new Fault('UNAUTHENTICATED');
  if (status === 403) return new Fault('FORBIDDEN');
  return new ConnectionError(`What answers at that URL is no gateway that is ready: HTTP ${status}.`);
}

function errorOf(body: string): Given | null {
  try {
    const parsed: unknown = JSON.parse(body);
    return isRecord(parsed) && isRecord(parsed['error']) ? parsed['error'] : null;
  } catch {
    return null;
  }
}

const isRecord = (value: unknown): value is Given =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
