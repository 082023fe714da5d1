// What the files of deploy/ and the compose file say, beside what slotcast itself says: its options, its drain, the settings that it asks for.
// Whether schedulers can read them, and the image runs as they have it, is tried by `npm run test:docker`.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readConfig, variables } from '../../server/config.ts';
import { judgeContainer } from '../../server/keeper/sandbox/container.ts';

const root = new URL('../..', import.meta.url).pathname;
const text = (file: string): string => readFileSync(join(root, file), 'utf8');
const files = [
  'Dockerfile',
  'docker-compose.yml',
  ...readdirSync(join(root, 'deploy'), { recursive: true, encoding: 'utf8' })
    .map((name) => join('deploy', name))
    .filter((name) => statSync(join(root, name)).isFile()),
];

/** The lines without their indentation, and without comments. */
const settingsOf = (file: string): string[] =>
  text(file)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => !line.startsWith('#'));

/** Read by compose, by the tests and by the trial of the image. */
const NO_OPTIONS = /^SLOTCAST_(?:PUBLISH|MEMORY|DOCKER_DIR|TEST_\w+)$/;

test.each(files)('%s names no variable that slotcast does not have', (file) => {
  const named = text(file).match(/\bSLOTCAST_[A-Z_]+\b/g) ?? [];
  expect(named.filter((name) => !variables.includes(name) && !NO_OPTIONS.test(name))).toEqual([]);
});

test('the image sets what the gateway takes', () => {
  const [, block = ''] = /^ENV ((?:.*\\\n)*.*)$/m.exec(text('Dockerfile')) ?? [];
  const env = Object.fromEntries(block.split(/\s*\\?\s+/).map((pair) => pair.split('=')));
  const config = readConfig({ argv: [], env, isRoot: false });
  expect(config).toMatchObject({ host: '0.0.0.0', port: 8080, dataDir: '/data', requireSandbox: true });
});

test.each([
  ['docker-compose.yml', /^ +stop_grace_period: (\d+)s$/m],
  ['deploy/kubernetes/slotcast.yaml', /^ +terminationGracePeriodSeconds: (\d+)$/m],
  ['deploy/nomad/slotcast.nomad.hcl', /^ +kill_timeout += "(\d+)s"$/m],
  ['deploy/nomad/slotcast-raw-exec.nomad.hcl', /^ +kill_timeout += "(\d+)s"$/m],
  ['deploy/slotcast.service', /^TimeoutStopSec=(\d+)$/m],
  ['deploy/slotcast-user.service', /^TimeoutStopSec=(\d+)$/m],
])('%s gives a stop the time for the drain, and a minute for what comes after it', (file, pattern) => {
  const { drainMs } = readConfig({ argv: [], env: {}, isRoot: false });
  expect(Number(pattern.exec(text(file))?.[1]) * 1000).toBeGreaterThanOrEqual(drainMs + 60_000);
});

test('the compose file has every setting that a container can be told to lack', () => {
  const nothing = { namespace: false, mount: false, pivot: false, proc: false };
  const worst = { hostRoot: true, tmpWritable: false, filtered: true, procCovered: true, sysctls: {}, works: nothing };
  const lacking = judgeContainer({ ...worst, label: 'docker-default (enforce)' });
  expect(lacking).toHaveLength(5);
  const settings = settingsOf('docker-compose.yml');
  for (const { compose } of lacking) {
    const [, inList = compose] = /^security_opt: \["(.*)"\]$/.exec(compose) ?? [];
    expect(
      settings.find((line) => line.endsWith(inList)),
      inList,
    ).toBeDefined();
  }
});

test('the pod is nobody on its node, has no right to lose, and what a sandbox needs', () => {
  const settings = settingsOf('deploy/kubernetes/slotcast.yaml');
  const needed = [
    'hostUsers: false',
    'automountServiceAccountToken: false',
    'runAsNonRoot: true',
    'privileged: false',
    'allowPrivilegeEscalation: false',
    'readOnlyRootFilesystem: true',
    'capabilities: { drop: [ALL] }',
    'procMount: Unmasked',
    'seccompProfile: { type: Localhost, localhostProfile: slotcast/seccomp-bwrap.json }',
    'appArmorProfile: { type: Unconfined }',
    'pod-security.kubernetes.io/enforce: privileged',
  ];
  expect(needed.filter((line) => !settings.includes(line))).toEqual([]);
});

test('the filter of a container allows what makes a sandbox, and no way around it', () => {
  const { defaultAction, syscalls } = JSON.parse(text('deploy/seccomp-bwrap.json'));
  expect(defaultAction).toBe('SCMP_ACT_ALLOW');
  const [denied, absent] = syscalls;
  expect(denied.names).toEqual([...new Set<string>(denied.names)].sort());
  const needed = ['clone', 'unshare', 'mount', 'umount2', 'pivot_root', 'prctl', 'seccomp'];
  expect(needed.filter((name) => denied.names.includes(name))).toEqual([]);
  // Its flags lie in memory, where no filter sees them; programs go on with clone.
  expect(absent).toEqual({ names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 });
  for (const name of [
    'setns',
    'fsopen',
    'move_mount',
    'open_tree',
    'ptrace',
    'keyctl',
    'bpf',
    'io_uring_setup',
    'kexec_load',
  ])
    expect(denied.names).toContain(name);
});
