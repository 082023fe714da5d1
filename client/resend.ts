// Which calls may be sent a second time when their reply was lost with the connection. Pure; when in doubt a call is not in here.
import type { MethodName } from '../protocol/contract.ts';

/** They change nothing, or leave the same state when they are done twice. */
const repeatable: ReadonlySet<MethodName> = new Set<MethodName>([
  'server.info',
  'rpc.discover',
  'slot.list',
  'slot.info',
  // Sent again only after a resume, which means that the lease has not ended.
  'slot.release',
  'slot.giveback',
  'exec.wait',
  'exec.list',
  'terminal.start',
  'terminal.resize',
  'terminal.capture',
  'terminal.wait',
  'watch.start',
  'watch.stop',
  'watch.slots',
  'cast.list',
  'cast.info',
  'cast.seek',
  'cast.read',
  'cast.output',
  'cast.verify',
  'cast.pin',
  'file.read',
  'file.list',
  'file.stat',
  'file.mkdir',
  'artifact.archive',
]);

/** A second call with the same key joins the first, or gets the lease that the first one made. */
const keyed: ReadonlySet<MethodName> = new Set<MethodName>(['slot.acquire', 'exec.run', 'exec.start', 'terminal.run']);

export const isRepeatable = (method: MethodName): boolean => repeatable.has(method);

export const mayResend = (method: MethodName, params: object): boolean =>
  repeatable.has(method) || (keyed.has(method) && 'key' in params && params.key !== undefined);

/** The params with a key of their own where the method takes one and the caller gave none. */
export function withKey<P extends object>(method: MethodName, params: P, newKey: () => string): P {
  if (!keyed.has(method) || ('key' in params && params.key !== undefined)) return params;
  return { ...params, key: newKey() };
}

/** Whether the call means the slot that the connection drives. */
export const drivesSlot = (method: string): boolean =>
  /^(exec|terminal|file|artifact)\./.test(method) || endsHold(method);

/** Afterwards the connection drives nothing: when the lease is gone, it has done its work. */
export const endsHold = (method: string): boolean => method === 'slot.release' || method === 'slot.giveback';

/** As `drivesSlot`, also for calls that mean the driven slot only when they name none. */
export const needsHold = (method: string, params: object): boolean =>
  drivesSlot(method) || (unnamed.has(method) && !('slot' in params && params.slot !== undefined));

const unnamed: ReadonlySet<string> = new Set<MethodName>(['slot.reset', 'slot.info', 'watch.start']);
