// Starts sandboxes with the runner inside, for one command each. Must be called on the main thread: --die-with-parent is tied to the thread that spawns.
// What it starts either runs sandboxed as the policy says, or not at all.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { Fault } from '../../../protocol/fault.ts';
import type { SlotPlace } from '../keeper.ts';
import { ETC_FILES, effectiveNetwork, FDS, type Inside, MASKED, sandboxArgs } from './args.ts';
import { launchPath, RUNNER_ENV } from './bare.ts';
import { hardLimits, innerProcesses, outerLimits, prlimit } from './limit.ts';
import { launchEnv } from './orphan.ts';
import { BOOT, RUNNER, runnerFrame } from './runner.ts';
import { Sandbox, type SandboxSpec } from './sandbox.ts';
import { seccompFilter } from './seccomp.ts';
import { ProcessWalls, pipeAt } from './walls.ts';

/** Starts a sandbox that waits for its order. */
export function startSandbox(spec: SandboxSpec): Sandbox {
  refuseRoot(spec.place);
  const isBwrap = spec.policy.sandbox === 'bwrap';
  const walls = new ProcessWalls(
    started(() => (isBwrap ? spawnSandboxed(spec) : spawnBare(spec))),
    isBwrap,
  );
  walls.control.write(runnerFrame(RUNNER));
  return new Sandbox(spec, walls);
}

/** A host that is out of processes or descriptors fails the spawn itself, in one of two ways. */
export function started(spawning: () => ChildProcess): ChildProcess {
  let child: ChildProcess | undefined;
  try {
    child = spawning();
    if (child.stdio !== undefined) return child;
  } catch {
    // Told below.
  }
  child?.on('error', () => {});
  throw new Fault(
    'SANDBOX_UNAVAILABLE',
    'The sandbox could not start, so nothing ran: the gateway is out of processes or descriptors. Try again, or raise its limits (ulimit -u, -n).',
  );
}

/** Not even inside a user namespace: the kernel goes by the host's user id. */
export function refuseRoot(place: SlotPlace): void {
  if (process.getuid?.() === 0 && (place.identity === null || place.identity.uid === 0)) {
    throw new Fault('SANDBOX_UNAVAILABLE', 'A command never runs as root: the slot has no user id of its own.');
  }
}

function spawnSandboxed(spec: SandboxSpec): ChildProcess {
  const { limits } = spec.policy;
  const nproc = innerProcesses(limits, { grouped: spec.group !== undefined, hard: hardLimits() });
  const boot = [...prlimit({ nproc }, '/usr/bin/prlimit'), ...BOOT];
  return spawnBwrap(spec, { inside: 'runner', boot, stdio: Array.from({ length: 10 }, () => 'pipe') });
}

export interface BwrapOptions {
  readonly inside: Exclude<Inside, 'terminal'>;
  /** The first process inside. */
  readonly boot: readonly string[];
  /** A pipe for each of FDS at least. */
  readonly stdio: ('pipe' | 'ignore' | number)[];
}

/** stdio is undefined when the host is out of descriptors. */
export function spawnBwrap(spec: SandboxSpec, { inside, boot, stdio }: BwrapOptions): ChildProcess {
  const { policy, place } = spec;
  const [file = '', ...args] = [
    ...prlimit(outerLimits(policy.limits, { ownUser: place.identity !== null, hard: hardLimits() })),
    ...['bwrap', '--args', String(FDS.args), '--', ...boot],
  ];
  const data = sandboxData({ ...spec, inside, env: RUNNER_ENV });
  const child = spawn(file, args, { env: launchEnv(launchPath()), cwd: '/', stdio, detached: true, ...place.identity });
  if (child.stdio === undefined) return child;
  for (const [name, bytes] of Object.entries(data)) pipeAt(child, FDS[name as keyof typeof data]).end(bytes);
  return child;
}

/** --sandbox none: the same runner, as the slot's user, without walls. */
function spawnBare({ policy, place }: SandboxSpec): ChildProcess {
  const [file = '', ...args] = [
    ...prlimit(outerLimits(policy.limits, { ownUser: place.identity !== null, hard: hardLimits() })),
    ...BOOT,
  ];
  return spawn(file, args, {
    env: launchEnv(launchPath()),
    cwd: '/',
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    detached: true,
    ...place.identity,
  });
}

/** Those of MASKED that this kernel has. */
export const maskedHere = (): string[] => MASKED.filter((path) => existsSync(path));

/** What bwrap reads from its descriptors. */
export function sandboxData(
  options: SandboxSpec & { readonly inside: Inside; readonly env: Readonly<Record<string, string>> },
): Record<'args' | 'seccomp' | 'passwd' | 'group' | 'hosts', Buffer> {
  const network = effectiveNetwork(options.policy, options.network);
  return {
    args: Buffer.from(`${sandboxArgs({ ...options, masked: maskedHere() }).join('\0')}\0`),
    seccomp: seccompFilter(),
    passwd: Buffer.from(ETC_FILES.passwd),
    group: Buffer.from(ETC_FILES.group),
    hosts: network === 'host' ? readFileSync('/etc/hosts') : Buffer.from(ETC_FILES.hosts),
  };
}
