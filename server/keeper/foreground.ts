// What the kernel tells of the processes on a terminal: who has the foreground, and who belongs to its session.
import { readdirSync, readFileSync } from 'node:fs';

/** What /proc says of a process; ids are those of our own pid namespace. */
export interface ProcessStat {
  readonly pid: number;
  /** Name of the program, at most 15 characters. */
  readonly name: string;
  /** false for a zombie. */
  readonly alive: boolean;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Process group in the foreground of its terminal; -1 or 0 when there is none that we could see. */
  readonly foregroundGroup: number;
}

/** null when there is no such process any more. */
export function statOf(pid: number): ProcessStat | null {
  const text = readProc(`${pid}/stat`);
  if (text === null) return null;
  // The name of the program stands in brackets and may hold anything, brackets too.
  const nameEnd = text.lastIndexOf(')');
  const [state = '', ...fields] = text.slice(nameEnd + 2).split(' ');
  const [parent = 0, group = 0, session = 0, , foregroundGroup = 0] = fields.map(Number);
  const name = text.slice(text.indexOf('(') + 1, nameEnd);
  return { pid, name, alive: state !== 'Z' && state !== 'X', parent, group, session, foregroundGroup };
}

/** Who has the foreground of a slot's terminal; whoever may look into /proc can ask, also another process than the one that started it. */
export class Foreground {
  /** The first process in the sandbox; null without one. */
  readonly init: number | null;
  readonly #child: number;
  #shell: number | null = null;
  /** Its group when it was last in front: an interactive shell keeps it. */
  #shellGroup: number | null = null;

  /** `child` is what is on the pty. */
  constructor({ child, init }: { readonly child: number; readonly init: number | null }) {
    this.#child = child;
    this.init = init;
  }

  /** null when that can't be told. */
  owner(): 'shell' | 'job' | null {
    const group = this.group();
    if (group === null) return null;
    return this.#isShell(group) ? 'shell' : 'job';
  }

  /** As the kernel gives it to a reader in our own pid namespace. */
  group(): number | null {
    const group = statOf(this.#child)?.foregroundGroup ?? 0;
    return group > 1 ? group : null;
  }

  /** The group of the shell, or that of what is around the sandbox: so it is before an interactive shell has made its own. */
  #isShell(group: number): boolean {
    if (group === this.#shellGroup) return true;
    this.#shell ??= this.init === null ? this.#child : firstChildOf(this.init);
    const shell = this.#shell === null ? undefined : statOf(this.#shell)?.group;
    if (group === shell) this.#shellGroup = group;
    return group === shell || group === statOf(this.#child)?.group;
  }
}

/** The first child of a process; null when it has none. */
export function firstChildOf(pid: number): number | null {
  return childrenOf(pid)?.[0] ?? null;
}

/** The children of a process with one thread; null when there is no such process, or the kernel does not tell. */
export function childrenOf(pid: number): number[] | null {
  return readProc(`${pid}/task/${pid}/children`)?.split(' ').filter(Boolean).map(Number) ?? null;
}

function readProc(file: string): string | null {
  try {
    return readFileSync(`/proc/${file}`, 'utf8');
  } catch {
    return null;
  }
}

/** SIGKILL to every process of a terminal's session, also to those started meanwhile: for a terminal without a sandbox around it. */
export function killSession(session: number): void {
  // A process that forks while we look is found by the next look; one that outruns fifty has left the session.
  for (let look = 0; look < 50; look++) {
    const members = sessionMembers(session);
    if (members.length === 0) return;
    for (const pid of members) tryKill(pid, 'SIGKILL');
  }
}

/** false when there is none of that id any more, or it isn't ours. A negative id is a process group. */
export function tryKill(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** Whether somebody alive is in this process group of this session: the number of a group that has died out is soon somebody else's. */
export const hasGroup = (session: number, group: number): boolean =>
  sessionMembers(session).some((pid) => statOf(pid)?.group === group);

function sessionMembers(session: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids
    .map((pid) => statOf(Number(pid)))
    .flatMap((stat) => (stat?.session === session && stat.alive ? [stat.pid] : []));
}
