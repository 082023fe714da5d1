// What this host can and cannot do, each found by trying it in a real sandbox, with what to do where it can't. It changes nothing on the host.
import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Fault } from '../../../protocol/fault.ts';
import type { Capability } from '../../../protocol/server.ts';
import type { KeptProcess, ProcessOrder, SlotPlace } from '../keeper.ts';
import { preparePlace, removeTree } from '../place.ts';
import { startProcess } from '../process.ts';
import { launchPath } from './bare.ts';
import { type Cgroup, CgroupError, Cgroups, openCgroups } from './cgroup.ts';
import { type MissingSetting, missingSettings } from './container.ts';
import { startSandbox } from './launch.ts';
import { ownMemoryLimit } from './own-limit.ts';
import type { Policy } from './policy.ts';
import type { SandboxSpec } from './sandbox.ts';
import { Warden } from './warden.ts';

const run = promisify(execFile);

/** A sandbox starts in some 10 ms; a host that needs longer than this is in trouble. */
const PROBE_MS = 10_000;

/** keyctl is allowed by every kernel, so that EPERM comes from the filter alone. */
const KEYCTL = process.arch === 'arm64' ? 219 : 250;

/** Above what a sandbox itself needs, small enough to be filled in a moment. */
const TRIED_BYTES = 48 * 1024 ** 2;
const HUNGRY = `perl -e '$x = "x" x ${2 * TRIED_BYTES}'`;

const SCRIPT = `
grep -E '^(Seccomp|CapEff):' /proc/self/status
perl -e 'syscall(${KEYCTL}, 0, -3, 0); print "keyctl: ", $!+0, "\\n"'
echo "interfaces: $(tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | tr '\\n' ' ')"
echo "processes: $(ulimit -u)"
: > owned
`;

export interface ProbeOptions {
  /** As for preparePlace. */
  readonly uidBase?: number;
  /** Of the gateway that this one is; without them some are made to try. */
  readonly groups?: Cgroups | CgroupError;
}

/** Takes well below a second. The data directory is made if it isn't there. */
export async function probe(
  policy: Policy,
  dataDir: string,
  options: ProbeOptions = {},
): Promise<Record<string, Capability>> {
  const [inside, tools] = await Promise.all([insideSandbox(policy, dataDir, options), toolCapabilities()]);
  return { ...inside, ...tools };
}

async function insideSandbox(
  policy: Policy,
  dataDir: string,
  options: ProbeOptions,
): Promise<Record<string, Capability>> {
  let place: SlotPlace | null = null;
  try {
    place = await preparePlace({ ...options, dataDir, slot: `.probe-${process.pid}`, index: 0 });
    const spec = { policy, place, network: 'none' } as const;
    const limited = await withGroups(dataDir, options, async (groups) => ({
      ...(await groupCapabilities(spec, groups)),
      ...(policy.sandbox === 'none' ? {} : { cells: await cellCapability(spec, groups) }),
    }));
    return { ...(await tried(policy, place)), ...limited };
  } catch (error) {
    return unavailable(error, await missingSettings());
  } finally {
    if (place !== null) await removeTree(join(place.workspace, '..'));
  }
}

/** What is tried, and where. */
type Try = SandboxSpec;

async function begin(spec: Try, command: string): Promise<KeptProcess> {
  return await startProcess({ sandbox: startSandbox(spec), order: orderOf(command) });
}

function orderOf(command: string): ProcessOrder {
  return {
    run: { command },
    cwd: '/workspace',
    env: {},
    input: null,
    stdin: 'closed',
    timeoutMs: PROBE_MS,
    idleTimeoutMs: 0,
    maxOutputBytes: 16_384,
  };
}

/** Those of the gateway, or some of its own, so that a gateway which runs is left alone. */
async function withGroups<T>(
  dataDir: string,
  { groups }: ProbeOptions,
  work: (groups: Cgroups | CgroupError) => Promise<T>,
): Promise<T> {
  if (groups !== undefined) return await work(groups);
  const own = await openCgroups(`${dataDir} ${process.pid}`);
  try {
    return await work(own);
  } finally {
    if (own instanceof Cgroups) await own.close();
  }
}

async function tried(policy: Policy, place: SlotPlace): Promise<Record<string, Capability>> {
  const value = await saidBy(await begin({ policy, place, network: 'none' }, SCRIPT));
  const owner = await stat(join(place.workspace, 'owned')).catch(() => null);
  return {
    sandbox: sandboxCapability(policy, value('CapEff')),
    seccomp: judged(policy.sandbox === 'bwrap' && value('Seccomp') === '2' && value('keyctl') === '1', {
      yes: 'the filter is loaded and denies what it should',
      no: policy.sandbox === 'none' ? 'off: --sandbox none' : 'the filter is not in force',
      remedy: 'Use --sandbox bwrap on a kernel with CONFIG_SECCOMP_FILTER.',
    }),
    network: judged(policy.sandbox === 'bwrap' && value('interfaces') === 'lo', {
      yes: `none: only a loopback of its own; the most that a slot gets is ${policy.network}`,
      no: policy.sandbox === 'none' ? 'not separated: --sandbox none' : `not separated: ${value('interfaces')}`,
      remedy: 'Use --sandbox bwrap on a kernel with network namespaces.',
    }),
    processLimit: judged(/^\d+$/.test(value('processes')), {
      yes: `${value('processes')} processes and threads for each sandbox`,
      no: 'processes are not limited',
      remedy: 'Use --sandbox bwrap, or start the gateway as root, so that slots have user ids of their own.',
    }),
    identity: identityCapability(owner?.uid ?? null),
  };
}

/** What SCRIPT found out, by name. */
async function saidBy(child: KeptProcess): Promise<(name: string) => string> {
  await child.ended;
  const said = child.output('stdout').head.toString('utf8');
  return (name) => new RegExp(`^${name}:\\s*(.*?)\\s*$`, 'm').exec(said)?.[1] ?? '';
}

/** Mounts of the operator in what each cell has for itself would not be seen there. */
const CELL_OWN = /^\/(?:proc|dev)(?:\/|$)/;

/** A cell must be as closed as a sandbox of its own, or there are none. */
async function cellCapability(spec: Try, groups: Cgroups | CgroupError): Promise<Capability> {
  const own = (why: string): Capability => ({
    ok: false,
    detail: `each command has a bwrap of its own, which takes longer: ${why}`,
    remedy: 'Commands are sandboxed all the same. For speed the host must allow user namespaces within each other.',
  });
  const hidden = spec.policy.mounts.find(({ target }) => CELL_OWN.test(target));
  if (hidden !== undefined) return own(`something is mounted at ${hidden.target}`);
  const { slot } = spec.place;
  const { limits } = spec.policy;
  const group = async (): Promise<Cgroup[]> => (groups instanceof Cgroups ? [await groups.group(slot, limits)] : []);
  const both = [...(await group()), ...(await group())];
  try {
    const warden = new Warden({ ...spec, groups: both, cells: 1 });
    try {
      await warden.ready;
      const { sandbox } = warden.cell();
      const value = await saidBy(await startProcess({ sandbox, order: orderOf(SCRIPT) }));
      const isClosed = /^0+$/.test(value('CapEff')) && value('Seccomp') === '2' && value('keyctl') === '1';
      if (!isClosed || value('interfaces') !== 'lo') return own('a cell would be less closed here');
    } finally {
      await warden.retire();
      await warden.closed;
    }
    return { ok: true, detail: 'each command has a cell of its own in a standing sandbox of its slot' };
  } catch (error) {
    return own(error instanceof Error ? error.message : 'unknown');
  } finally {
    await Promise.all(both.map((one) => one.close().catch(() => {})));
  }
}

function sandboxCapability(policy: Policy, capabilities: string): Capability {
  return judged(policy.sandbox === 'bwrap' && /^0+$/.test(capabilities), {
    yes: 'bubblewrap with its own user, pid, ipc, uts and mount namespaces, no capabilities',
    no: policy.sandbox === 'none' ? 'off: commands run unsandboxed (--sandbox none)' : 'the sandbox holds capabilities',
    remedy: 'Start with --sandbox bwrap.',
  });
}

function identityCapability(owner: number | null): Capability {
  const own = process.getuid?.();
  return judged(owner !== null && owner !== 0, {
    yes:
      owner === own
        ? `commands run as the gateway's own user ${owner}`
        : `each slot has a user id of its own, from ${owner} on`,
    no: 'the user of a command could not be told',
    remedy: 'Start the gateway as root for a user id for each slot, or as an ordinary user.',
  });
}

/** Nothing ran: one cause for all. In a container the settings that it lacks are the better remedy. */
function unavailable(error: unknown, settings: readonly MissingSetting[] | null): Record<string, Capability> {
  const text = error instanceof Error ? error.message : String(error);
  const [, detail = text, general = 'Run slotcast doctor on the host.'] =
    error instanceof Fault
      ? (/nothing ran: (.*?)\. ([A-Z].*)$/s.exec(text) ?? [])
      : (/^(.*?)\. (Run .*)$/s.exec(text) ?? []);
  const lacking = (settings ?? []).filter(({ breaks }) => breaks).map(({ flag, compose }) => flag || compose);
  const remedy = lacking.length > 0 ? `The container lacks: ${lacking.join(' ')}` : general;
  const untried: Capability = { ok: false, detail: 'not tried, since the sandbox does not start', remedy };
  const sandbox: Capability = { ok: false, detail, remedy };
  return { sandbox, seccomp: untried, network: untried, processLimit: untried, identity: untried };
}

/** What the sandbox is started with and by. */
async function toolCapabilities(): Promise<Record<string, Capability>> {
  const tool = async (name: string, pack: string): Promise<Capability> => {
    try {
      const { stdout } = await run(name, ['--version'], { env: { PATH: launchPath(), LC_ALL: 'C' } });
      return { ok: true, detail: /\d+\.\d+(?:\.\d+)?/.exec(stdout)?.[0] ?? 'present' };
    } catch {
      return { ok: false, detail: `${name} is not there`, remedy: `Install the package ${pack}.` };
    }
  };
  const [bwrap, perl, prlimit] = await Promise.all([
    tool('bwrap', 'bubblewrap (0.8 or newer)'),
    tool('/usr/bin/perl', 'perl-base'),
    tool('prlimit', 'util-linux'),
  ]);
  return { bwrap, perl, prlimit };
}

const UNLIMITED_REMEDY =
  'Run the gateway as root, or in a systemd unit with Delegate=yes (DelegateSubgroup=gateway), or give the whole gateway a limit (MemoryMax=, docker --memory).';

/** Tried by a command that takes more memory than it may. */
async function groupCapabilities(spec: Try, groups: Cgroups | CgroupError): Promise<Record<string, Capability>> {
  if (groups instanceof CgroupError) {
    const wholeBytes = ownMemoryLimit();
    if (wholeBytes !== null)
      return {
        memoryLimit: {
          ok: true,
          detail: `${wholeBytes} bytes for the whole gateway, by the control group that it is in; none for each slot: ${groups.message}`,
        },
      };
    const remedy = `Memory of a slot is not limited. ${UNLIMITED_REMEDY}`;
    return { memoryLimit: { ok: false, detail: `no control group of its own: ${groups.message}`, remedy } };
  }
  const limits = { ...spec.policy.limits, memoryBytes: TRIED_BYTES };
  const group = await groups.group(spec.place.slot, limits);
  try {
    const child = await begin({ ...spec, group }, HUNGRY);
    const { limit } = await child.ended;
    const where = `by a cgroup v${groups.version} for each sandbox`;
    const { memoryBytes } = spec.policy.limits;
    return {
      memoryLimit: judged(limit === 'memory', {
        yes: memoryBytes === 0 ? `none wanted, could be ${where}` : `${memoryBytes} bytes for each slot, ${where}`,
        no: `a cgroup v${groups.version} is there, but a command got more memory than it may`,
        remedy: UNLIMITED_REMEDY,
      }),
      cpuShare: judged(groups.has('cpu'), {
        yes: `slots share the processor evenly, ${where}`,
        no: 'no control group with a cpu controller: a slot that spins slows others',
        remedy: UNLIMITED_REMEDY,
      }),
    };
  } finally {
    await group.close();
  }
}

function judged(ok: boolean, text: { readonly yes: string; readonly no: string; readonly remedy: string }): Capability {
  return ok ? { ok, detail: text.yes } : { ok, detail: text.no, remedy: text.remedy };
}
