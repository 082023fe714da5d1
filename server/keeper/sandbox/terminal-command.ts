// The sandbox of a slot's terminal: how it is started on a pty, and what it tells of its start.
import type { Duplex } from 'node:stream';
import type { PtyEntry } from '../pty-child.ts';
import { FDS } from './args.ts';
import { bareEnv, barePath, launchPath, RUNNER_ENV } from './bare.ts';
import { sandboxEntry } from './entry.ts';
import { refuseRoot, sandboxData } from './launch.ts';
import { hardLimits, innerProcesses, outerLimits } from './limit.ts';
import { launchEnv } from './orphan.ts';
import { BASE_ENV, SHOWN } from './policy.ts';
import { explain, hiddenPaths, type Reason } from './reason.ts';
import { BARE_INIT, heldEnv, terminalInit } from './runner.ts';
import type { SandboxSpec } from './sandbox.ts';
import { parseStatus } from './status.ts';

export interface TerminalCommandSpec extends SandboxSpec {
  /** What runs on the pty, as the payload sees it. */
  readonly argv: readonly string[];
  /** Beside PATH HOME LANG TERM. */
  readonly env: Readonly<Record<string, string>>;
}

/** How it is started; see PtyChildOptions. */
export interface TerminalCommand {
  readonly entry: PtyEntry;
  readonly file: string;
  readonly args: string[];
  readonly cwd: string;
  /** The whole environment for the spawn. */
  readonly env: Record<string, string>;
  readonly pipes: number;
  /** To be called at once with the pipes of what was started. */
  launch(pipe: (fd: number) => Duplex): TerminalLaunch;
  /** Why nothing ran, out of what stood on the pty. */
  explain(text: string): Reason;
}

export interface TerminalLaunch {
  /** Resolves with true when the payload is being started, or was; with false when everything has ended without that. */
  readonly ran: Promise<boolean>;
  /** Process 1 of the sandbox on the host: SIGKILL to it ends everything. null as long as there is none, and under --sandbox none. */
  readonly firstPid: number | null;
}

/** Under --sandbox none the paths of the sandbox are turned into the host's, in argv and env. Throws SANDBOX_UNAVAILABLE when it would run as root. */
export function terminalCommand(spec: TerminalCommandSpec): TerminalCommand {
  refuseRoot(spec.place);
  return spec.policy.sandbox === 'bwrap' ? sandboxed(spec) : bare(spec);
}

function sandboxed(spec: TerminalCommandSpec): TerminalCommand {
  const { policy, place, argv, group } = spec;
  const env = { ...RUNNER_ENV, ...heldEnv({ ...BASE_ENV, ...spec.env }) };
  const data = sandboxData({ ...spec, inside: 'terminal', env });
  const processes = innerProcesses(policy.limits, { grouped: group !== undefined, hard: hardLimits() });
  return {
    entry: entryOf(spec),
    file: 'bwrap',
    args: ['--args', String(FDS.args), '--', ...terminalInit(processes), ...argv],
    cwd: '/',
    env: launchEnv(launchPath()),
    pipes: Object.keys(FDS).length,
    launch: (pipe) => {
      for (const [name, bytes] of Object.entries(data)) pipe(FDS[name as keyof typeof data]).end(bytes);
      return new SandboxLaunch(pipe(FDS.status), pipe(FDS.control));
    },
    explain: (text) => explain(text, hiddenPaths(policy, place)),
  };
}

/** Knows of bwrap's status, and of the word of the first process inside. */
class SandboxLaunch implements TerminalLaunch {
  readonly ran: Promise<boolean>;
  #text = '';

  constructor(status: Duplex, word: Duplex) {
    status.on('data', (data: Buffer) => (this.#text += data.toString('latin1')));
    const named = new Promise((resolve) => status.once('data', resolve));
    const told = new Promise((resolve) => word.once('data', resolve));
    const ended = new Promise((resolve) => status.once('close', resolve));
    this.ran = Promise.race([
      Promise.all([named, told]).then(() => true),
      ended.then(() => parseStatus(this.#text).exitCode !== null),
    ]);
  }

  get firstPid(): number | null {
    return parseStatus(this.#text).childPid;
  }
}

function bare(spec: TerminalCommandSpec): TerminalCommand {
  const { policy, place, argv } = spec;
  const onHost = (text: string): string =>
    text.replaceAll(SHOWN.spool, place.spool).replaceAll(SHOWN.workspace, place.workspace);
  const env = Object.fromEntries(Object.entries(spec.env).map(([name, value]) => [name, onHost(value)]));
  const [file, ...args] = BARE_INIT;
  return {
    entry: entryOf(spec),
    file,
    args: [...args, ...argv.map(onHost)],
    cwd: barePath(place, SHOWN.workspace),
    env: { ...launchEnv(launchPath()), ...heldEnv({ ...bareEnv(place), ...env }) },
    pipes: 0,
    launch: () => ({ ran: Promise.resolve(true), firstPid: null }),
    explain: (text) => explain(text, hiddenPaths(policy, place)),
  };
}

function entryOf({ policy, place: { identity }, group }: TerminalCommandSpec): PtyEntry {
  const limits = outerLimits(policy.limits, { ownUser: identity !== null, hard: hardLimits() });
  return sandboxEntry({ identity, joins: group?.joins ?? [], limits });
}
