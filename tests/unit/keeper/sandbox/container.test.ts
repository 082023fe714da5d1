import { expect, test } from 'vitest';
import {
  type ContainerFacts,
  isMachine,
  isProcCovered,
  judgeContainer,
} from '../../../../server/keeper/sandbox/container.ts';

const everything = { namespace: true, mount: true, pivot: true, proc: true };
const nothing = { namespace: false, mount: false, pivot: false, proc: false };
const good: ContainerFacts = {
  hostRoot: false,
  tmpWritable: true,
  filtered: true,
  label: 'unconfined',
  procCovered: false,
  sysctls: { 'user.max_user_namespaces': '15000' },
  works: everything,
};
const flags = (facts: Partial<ContainerFacts>): string[] =>
  judgeContainer({ ...good, ...facts }).map(({ flag, compose }) => flag || compose);
const SECCOMP = '--security-opt seccomp=deploy/seccomp-bwrap.json';
const PROC = '--security-opt systempaths=unconfined';

test.each<[string, Partial<ContainerFacts>, string[]]>([
  ['as docker-compose.yml has it', {}, []],
  ["under Docker's defaults", { works: nothing, procCovered: true }, [SECCOMP, PROC]],
  [
    "under Docker's defaults on a host with AppArmor",
    { works: nothing, procCovered: true, label: 'docker-default (enforce)' },
    [SECCOMP, '--security-opt apparmor=unconfined', PROC],
  ],
  ['with the profile alone', { works: { ...everything, proc: false }, procCovered: true }, [PROC]],
  ['with /proc alone', { works: nothing }, [SECCOMP]],
  [
    'with AppArmor alone in the way',
    { works: { ...nothing, namespace: true }, label: 'docker-default (enforce)' },
    ['--security-opt apparmor=unconfined'],
  ],
  [
    'with SELinux alone in the way',
    { works: { ...nothing, namespace: true }, label: 'system_u:system_r:container_t:s0:c1,c2' },
    ['--security-opt label=disable'],
  ],
  ['where a second /proc is whole', { procCovered: true }, []],
  ["by the host's root", { hostRoot: true }, ['--user 1000:1000']],
  ['read-only, without a /tmp', { tmpWritable: false }, ['--tmpfs /tmp:size=64m,mode=1777']],
  ['with pivot_root forbidden', { works: { ...everything, pivot: false } }, [SECCOMP]],
  [
    'on a host that has no user namespaces',
    { works: nothing, sysctls: { 'user.max_user_namespaces': '0' } },
    ['sysctl -w user.max_user_namespaces=15000'],
  ],
  [
    'on a host whose AppArmor restricts them',
    { works: nothing, sysctls: { 'kernel.apparmor_restrict_unprivileged_userns': '1' } },
    ['sysctl -w kernel.apparmor_restrict_unprivileged_userns=0'],
  ],
])('a container %s lacks what it lacks and nothing else', (_how, facts, missing) => {
  expect(flags(facts)).toEqual(missing);
});

const mount = (root: string, place: string, kind: string): string =>
  `561 560 0:55 ${root} ${place} rw,nosuid,nodev,noexec,relatime - ${kind} ${kind} rw`;

test.each<[string, string[], boolean]>([
  ['whole', [mount('/', '/proc', 'proc'), mount('/', '/proc-of-others/x', 'tmpfs')], false],
  ['with parts that are read-only', [mount('/', '/proc', 'proc'), mount('/sys', '/proc/sys', 'proc')], true],
  ['with parts that are hidden', [mount('/', '/proc', 'proc'), mount('/null', '/proc/kcore', 'tmpfs')], true],
  [
    'covered, beside another that is whole',
    [mount('/', '/proc', 'proc'), mount('/sys', '/proc/sys', 'proc'), mount('/', '/run/proc', 'proc')],
    false,
  ],
])('/proc is %s', (_how, mounts, covered) => {
  expect(isProcCovered(`${mounts.join('\n')}\n`)).toBe(covered);
});

const disk = '28 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw';
const layers = '561 440 0:55 / / ro,relatime - overlay overlay ro,lowerdir=/var/lib/docker/overlay2/l/X';
test.each<[string, string, string, boolean]>([
  ['a machine whose disk was made from the image of a container', 'pid:[4026531836]', disk, true],
  ['a container', 'pid:[4026532201]', layers, false],
  ["a container that sees the host's processes", 'pid:[4026531836]', layers, false],
  ['a container whose layers are a file system of the host', 'pid:[4026532201]', disk, false],
  ['what can not be told', '', '', false],
])('%s is told from its mark', (_what, namespace, root, expected) => {
  expect(isMachine(namespace, `29 28 0:5 / /dev rw - devtmpfs /dev/other rw\n${root}\n`)).toBe(expected);
});
