// What this host can and cannot do, each found by trying it in a real sandbox, with what to do where it can't. It changes nothing on the host.
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Fault } from '../../../protocol/fault.ts';
import type { Capability } from '../../../protocol/server.ts';
import type { SlotPlace } from '../keeper.ts';
import { preparePlace, removeTree } from '../place.ts';
import { startProcess } from '../process.ts';
import { launchPath } from './launch.ts';
import type { Policy } from './policy.ts';

const run = promisify(execFile);

/** A sandbox starts in some 10 ms; a host that needs longer than this is in trouble. */
const PROBE_MS = 10_000;

/** keyctl is allowed by every kernel, so that EPERM comes from the filter alone. */
const KEYCTL = process.arch === 'arm64' ? 219 : 250;

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
}

/** Takes well below a second. The data directory is made if it isn't there. */
export async function probe(
  policy: Policy,
  dataDir: string,
  options: ProbeOptions = {},
): Promise<Record<string, Capability>> {
  const [inside, tools, memoryLimit] = await Promise.all([
    insideSandbox(policy, dataDir, options),
    toolCapabilities(),
    memoryCapability(),
  ]);
  return { ...inside, ...tools, memoryLimit };
}

async function insideSandbox(
  policy: Policy,
  dataDir: string,
  options: ProbeOptions,
): Promise<Record<string, Capability>> {
  let place: SlotPlace | null = null;
  try {
    place = await preparePlace({ ...options, dataDir, slot: `.probe-${process.pid}`, index: 0 });
    return await tried(policy, place);
  } catch (error) {
    return unavailable(error);
  } finally {
    if (place !== null) await removeTree(join(place.workspace, '..'));
  }
}

async function tried(policy: Policy, place: SlotPlace): Promise<Record<string, Capability>> {
  const child = await startProcess({
    policy,
    place,
    network: 'none',
    order: {
      run: { command: SCRIPT },
      cwd: '/workspace',
      env: {},
      input: null,
      stdin: 'closed',
      timeoutMs: PROBE_MS,
      idleTimeoutMs: 0,
      maxOutputBytes: 16_384,
    },
  });
  await child.ended;
  const said = child.output('stdout').head.toString('utf8');
  const value = (name: string): string => new RegExp(`^${name}:\\s*(.*?)\\s*$`, 'm').exec(said)?.[1] ?? '';
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

/** Nothing ran: one cause for all. */
function unavailable(error: unknown): Record<string, Capability> {
  const text = error instanceof Error ? error.message : String(error);
  const [, detail = text, remedy = 'Run slotcast doctor on the host.'] =
    error instanceof Fault
      ? (/nothing ran: (.*?)\. ([A-Z].*)$/s.exec(text) ?? [])
      : (/^(.*?)\. (Run .*)$/s.exec(text) ?? []);
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
  const [bwrap, perl, prlimit, setpriv] = await Promise.all([
    tool('bwrap', 'bubblewrap (0.8 or newer)'),
    tool('/usr/bin/perl', 'perl-base'),
    tool('prlimit', 'util-linux'),
    tool('setpriv', 'util-linux'),
  ]);
  return { bwrap, perl, prlimit, setpriv };
}

/** Only reported: whether this process could make a cgroup with a memory limit. */
async function memoryCapability(): Promise<Capability> {
  const remedy =
    'Memory of a sandbox is not limited. Run the gateway in a container or systemd unit with a memory limit (MemoryMax=, Delegate=yes).';
  const own = await readFile('/proc/self/cgroup', 'utf8').catch(() => '');
  const v1 = /^\d+:[^:]*\bmemory\b[^:]*:(.*)$/m.exec(own)?.[1];
  const v2 = /^0::(.*)$/m.exec(own)?.[1];
  const places: [string, string][] = [
    ...(v1 === undefined ? [] : [['v1', join('/sys/fs/cgroup/memory', v1)] as [string, string]]),
    ...(v2 === undefined ? [] : [['v2', join('/sys/fs/cgroup', v2)] as [string, string]]),
  ];
  for (const [version, dir] of places) {
    const file = version === 'v1' ? 'memory.limit_in_bytes' : 'cgroup.subtree_control';
    const writable = await Promise.all([access(dir, constants.W_OK), access(join(dir, file), constants.W_OK)]).then(
      () => true,
      () => false,
    );
    if (writable) return { ok: false, detail: `a cgroup ${version} hierarchy is writable, but not used yet`, remedy };
  }
  return { ok: false, detail: 'no writable cgroup with a memory controller', remedy };
}

function judged(ok: boolean, text: { readonly yes: string; readonly no: string; readonly remedy: string }): Capability {
  return ok ? { ok, detail: text.yes } : { ok, detail: text.no, remedy: text.remedy };
}
