import { expect, test } from 'vitest';
import { hardLimits, innerProcesses, outerLimits, prlimit } from '../../../../server/keeper/sandbox/limit.ts';
import { DEFAULT_LIMITS } from '../../../../server/keeper/sandbox/policy.ts';

const TEXT = `Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max file size             unlimited            unlimited            bytes
Max processes             96365                200                  processes
Max open files            1024                 2048                 files
`;

test('reads the hard limits of a process', () => {
  expect(hardLimits(TEXT)).toEqual({ nproc: 200, nofile: 2048 });
});

test('its own are readable', () => {
  expect(hardLimits().nofile).toBeGreaterThan(0);
});

test('never asks for more than the host allows', () => {
  const hard = hardLimits(TEXT);
  expect(innerProcesses(DEFAULT_LIMITS, { grouped: false, hard })).toBe(200);
  expect(prlimit(outerLimits(DEFAULT_LIMITS, { hard, ownUser: false }))).toEqual([
    'prlimit',
    '--fsize=4294967296:4294967296',
    '--nofile=2048:2048',
    '--core=1:1',
    '--',
  ]);
});

test('a host that forbids core dumps altogether is left so', () => {
  const hard = hardLimits('Max core file size        0                    0                    bytes\n');
  expect(outerLimits(DEFAULT_LIMITS, { hard, ownUser: false }).core).toBe(0);
});

test('counts the processes of a slot only where they have a user of their own', () => {
  expect(outerLimits(DEFAULT_LIMITS, { hard: {}, ownUser: true }).nproc).toBe(DEFAULT_LIMITS.slotProcesses);
  expect(outerLimits(DEFAULT_LIMITS, { hard: {}, ownUser: false })).not.toHaveProperty('nproc');
});
