// What a credential lets its bearer see: everything, one slot with its recordings, or one recording alone. The one place that decides it, for
// every transport. What somebody may not see looks as if it were not there, or is refused in words that are the same whether it is or not.
import { Fault } from '../../protocol/fault.ts';

export interface Scope {
  /** Only this slot and its recordings; null = all. */
  readonly slot: string | null;
  /** Only this recording and no slot, not even the one that it is of; null = whatever `slot` says. */
  readonly cast: string | null;
}

export const seesSlot = ({ slot, cast }: Scope, name: string): boolean =>
  cast === null && (slot === null || slot === name);

/** FORBIDDEN for another slot than the credential's, whether there is such a slot or not; to who sees none there is none. */
export function requireSlot(scope: Scope, name: string): void {
  if (seesSlot(scope, name)) return;
  throw scope.cast === null ? new Fault('FORBIDDEN', `This credential is for ${scope.slot} only.`) : noSuchSlot(name);
}

/** CAST_NOT_FOUND for a recording that the credential does not see, whether there is such a one or not. */
export async function requireVisible(
  library: { slotOf(cast: string): Promise<string> },
  cast: string,
  scope: Scope,
): Promise<void> {
  if (scope.cast !== null) {
    if (scope.cast !== cast) throw new Fault('CAST_NOT_FOUND');
  } else if (scope.slot !== null) {
    const slot = await library.slotOf(cast).catch(() => null);
    if (slot !== scope.slot) throw new Fault('CAST_NOT_FOUND');
  }
}

/** A filter of recordings, narrowed to those that the credential sees. */
export const narrowed = <F extends object>({ slot, cast }: Scope, filter: F): F & { slot?: string; cast?: string } => ({
  ...filter,
  ...(slot === null ? {} : { slot }),
  ...(cast === null ? {} : { cast }),
});

export const noSuchSlot = (name: string): Fault =>
  new Fault('SLOT_NOT_FOUND', `There is no slot ${JSON.stringify(name.slice(0, 64))}. slot.list names them.`);
