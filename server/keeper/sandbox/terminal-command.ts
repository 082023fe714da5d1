// The sandbox of a slot's terminal as a command line for node-pty, which hands no descriptors on: sh opens them as the gateway, before it drops to the slot's user.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FDS } from './args.ts';
import { bareEnv, barePath, launchPath, RUNNER_ENV } from './bare.ts';
import { refuseRoot, sandboxData } from './launch.ts';
import { hardLimits, innerLimit, outerLimit } from './limit.ts';
import { launchDirectory, launchEnv } from './orphan.ts';
import { BASE_ENV, SHOWN } from './policy.ts';
import { explain, hiddenPaths, type Reason } from './reason.ts';
import { BARE_INIT, heldEnv, TERMINAL_INIT } from './runner.ts';
import type { SandboxSpec } from './sandbox.ts';
import { parseStatus, type SandboxStatus } from './status.ts';

export interface TerminalCommandSpec extends SandboxSpec {
  /** What runs on the pty, as the payload sees it. */
  readonly argv: readonly string[];
  /** Beside PATH HOME LANG TERM. */
  readonly env: Readonly<Record<string, string>>;
}

export interface TerminalCommand {
  readonly file: string;
  readonly args: string[];
  readonly cwd: string;
  /** The whole environment for the spawn. */
  readonly env: Record<string, string>;
  /** childPid is pid 1 of the sandbox on the host: SIGKILL to it ends everything. Both null: nothing ran (yet). Always so under --sandbox none. */
  status(): SandboxStatus;
  /** Why nothing ran, out of what stood on the pty. */
  explain(text: string): Reason;
  /** Removes the files behind it; after the terminal has started or ended. The status is kept as it was last. */
  close(): void;
}

/** Under --sandbox none the paths of the sandbox are turned into the host's, in argv and env. Throws SANDBOX_UNAVAILABLE when it would run as root. */
export function terminalCommand(spec: TerminalCommandSpec): TerminalCommand {
  refuseRoot(spec.place);
  return spec.policy.sandbox === 'bwrap' ? sandboxed(spec) : bare(spec);
}

/** Up to `--` are files of control groups: what joins them before it starts anything has everything in them. */
const JOIN =
  'while [ "$1" != -- ]; do echo 0 >"$1" || { echo "slotcast: the limits of memory and processes could not be set"; exit 125; }; shift; done 2>/dev/null; shift; ';

/** "$1" to "$6" are the files, the rest is the command. */
const OPEN_FILES = `exec ${FDS.args}<"$1" ${FDS.seccomp}<"$2" ${FDS.status}>"$3" ${FDS.passwd}<"$4" ${FDS.group}<"$5" ${FDS.hosts}<"$6"; shift 6; exec "$@"`;

function sandboxed(spec: TerminalCommandSpec): TerminalCommand {
  const { policy, place, argv } = spec;
  const dir = launchDirectory();
  const files = {
    ...sandboxData({ ...spec, inside: 'terminal', env: { ...RUNNER_ENV, ...heldEnv({ ...BASE_ENV, ...spec.env }) } }),
    status: Buffer.alloc(0),
  };
  try {
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(dir, name), bytes, { mode: 0o600 });
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
  const names = ['args', 'seccomp', 'status', 'passwd', 'group', 'hosts'].map((name) => join(dir, name));
  const hard = hardLimits();
  let last: SandboxStatus = { childPid: null, exitCode: null };
  let open = true;
  const status = (): SandboxStatus => {
    if (open) last = parseStatus(readFileSync(join(dir, 'status'), 'latin1'));
    return last;
  };
  return {
    file: '/bin/sh',
    args: [
      ...['-c', JOIN + OPEN_FILES, 'sh', ...(spec.group?.joins ?? []), '--', ...names],
      ...drop(spec),
      ...outerLimit(policy.limits, { ownUser: place.identity !== null, hard }),
      ...['bwrap', '--args', String(FDS.args), '--'],
      ...innerLimit(policy.limits, { grouped: spec.group !== undefined, hard }),
      ...TERMINAL_INIT,
      ...argv,
    ],
    cwd: '/',
    env: launchEnv(launchPath()),
    status,
    explain: (text) => explain(text, { ...hiddenPaths(policy, place), [dir]: '(a host path)' }),
    close: () => {
      if (!open) return;
      status();
      open = false;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function bare(spec: TerminalCommandSpec): TerminalCommand {
  const { policy, place, argv } = spec;
  const onHost = (text: string): string =>
    text.replaceAll(SHOWN.spool, place.spool).replaceAll(SHOWN.workspace, place.workspace);
  const env = Object.fromEntries(Object.entries(spec.env).map(([name, value]) => [name, onHost(value)]));
  const [file = '', ...args] = [
    ...['/bin/sh', '-c', `${JOIN}exec "$@"`, 'sh', ...(spec.group?.joins ?? []), '--'],
    ...drop(spec),
    ...outerLimit(policy.limits, { ownUser: place.identity !== null, hard: hardLimits() }),
    ...BARE_INIT,
    ...argv.map(onHost),
  ];
  return {
    file,
    args,
    cwd: barePath(place, SHOWN.workspace),
    env: { ...launchEnv(launchPath()), ...heldEnv({ ...bareEnv(place), ...env }) },
    status: () => ({ childPid: null, exitCode: null }),
    explain: (text) => explain(text, hiddenPaths(policy, place)),
    close: () => {},
  };
}

/** A pty's child starts as the gateway; bwrap and all below it are the slot's user, without capabilities to get back. */
function drop({ place }: TerminalCommandSpec): string[] {
  if (place.identity === null) return [];
  const { uid, gid } = place.identity;
  return [
    ...['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'],
    ...['--inh-caps=-all', '--bounding-set=-all', '--no-new-privs', '--'],
  ];
}
