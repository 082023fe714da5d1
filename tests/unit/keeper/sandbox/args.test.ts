import { expect, test } from 'vitest';
import type { SlotPlace } from '../../../../server/keeper/keeper.ts';
import { effectiveNetwork, FDS, type SandboxArgsOptions, sandboxArgs } from '../../../../server/keeper/sandbox/args.ts';
import { DEFAULT_POLICY } from '../../../../server/keeper/sandbox/policy.ts';

const place: SlotPlace = {
  slot: 'slot_0',
  workspace: '/data/slots/slot_0/workspace',
  tmp: '/data/slots/slot_0/tmp',
  spool: '/data/slots/slot_0/spool',
  drafts: '/data/slots/slot_0/drafts',
  identity: null,
};

function line(options: Partial<SandboxArgsOptions> = {}): string {
  const defaults = { policy: DEFAULT_POLICY, place, network: 'none', inside: 'runner', env: {} } as const;
  const args = sandboxArgs({ ...defaults, masked: ['/proc/keys'], ...options });
  return ` ${args.join(' ')} `;
}

test.each([
  '--unshare-user',
  '--unshare-ipc',
  '--unshare-pid',
  '--unshare-uts',
  '--unshare-net',
  '--disable-userns',
  '--uid 1000 --gid 1000',
  '--cap-drop ALL',
  '--die-with-parent',
  '--as-pid-1',
  '--clearenv',
  '--ro-bind /usr /usr',
  '--ro-bind-try /etc/alternatives /etc/alternatives',
  '--ro-bind-try /proc/sys /proc/sys',
  '--ro-bind /dev/null /proc/keys',
  '--size 67108864 --perms 1777 --tmpfs /dev/shm',
  `--bind ${place.workspace} /workspace`,
  `--bind ${place.tmp} /tmp`,
  '--remount-ro /dev',
  `--seccomp ${FDS.seccomp}`,
  `--json-status-fd ${FDS.status}`,
])('a command has %s', (part) => {
  expect(line()).toContain(` ${part} `);
});

test('nothing is mounted after the root has become read-only', () => {
  const policy = { ...DEFAULT_POLICY, mounts: [{ source: '/srv/a', target: '/data', readOnly: true }] };
  const text = line({ policy, inside: 'terminal' });
  expect(text.slice(text.indexOf('--remount-ro / '))).not.toMatch(/bind|tmpfs|--dir|--symlink/);
});

test('the terminal keeps its session and sees the spool read-only; a command has neither', () => {
  const spool = ` --ro-bind ${place.spool} /run/slotcast `;
  expect(line({ inside: 'terminal' })).toContain(spool);
  expect(line({ inside: 'terminal' })).not.toContain('--new-session');
  expect(line()).not.toContain(place.spool);
  expect(line()).toContain(' --new-session ');
});

test('mounts are shown at their targets, after the workspace that they may lie in', () => {
  const mounts = [
    { source: '/srv/models', target: '/models', readOnly: true },
    { source: '/srv/cache', target: '/workspace/cache', readOnly: false },
  ];
  const text = line({ policy: { ...DEFAULT_POLICY, mounts } });
  expect(text).toContain(' --ro-bind /srv/models /models --bind /srv/cache /workspace/cache ');
  expect(text.indexOf('/srv/cache')).toBeGreaterThan(text.indexOf(' /workspace '));
});

test.each([
  ['none', 'none', 'none'],
  ['none', 'host', 'none'],
  ['host', 'none', 'none'],
  ['host', 'host', 'host'],
] as const)('operator %s, slot %s: %s', (allowed, asked, expected) => {
  const policy = { ...DEFAULT_POLICY, network: allowed };
  expect(effectiveNetwork(policy, asked)).toBe(expected);
  const text = line({ policy, network: asked });
  expect(text.includes('--unshare-net')).toBe(expected === 'none');
  expect(text.includes('/etc/resolv.conf')).toBe(expected === 'host');
});

test('the environment is exactly what is given', () => {
  expect(line({ env: { A: 'b', C: 'd' } })).toContain(' --clearenv --setenv A b --setenv C d ');
  expect(line().match(/--setenv/g)).toBeNull();
});

test('the descriptors are of one digit, as sh needs', () => {
  const numbers = Object.values(FDS);
  expect(new Set(numbers).size).toBe(numbers.length);
  expect(Math.min(...numbers)).toBeGreaterThan(2);
  expect(Math.max(...numbers)).toBeLessThan(10);
});
