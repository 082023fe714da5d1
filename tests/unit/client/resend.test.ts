import { expect, test } from 'vitest';
import { drivesSlot, isRepeatable } from '../../../client/resend.ts';
import { type MethodName, methods } from '../../../protocol/contract.ts';

const names = Object.keys(methods) as MethodName[];

test('what drives the slot is what the contract says needs one', () => {
  expect(names.filter(drivesSlot)).toEqual(names.filter((name) => methods[name].needs === 'slot'));
});

test('what must not be done twice is not repeatable', () => {
  expect(names.filter((name) => !isRepeatable(name))).toEqual([
    'slot.acquire',
    'slot.reset',
    'slot.takeover',
    'exec.run',
    'exec.start',
    'exec.write',
    'exec.signal',
    'exec.hold',
    'terminal.run',
    'terminal.write',
    'terminal.keys',
    'terminal.stop',
    'file.write',
    'file.remove',
    'file.move',
  ]);
});
