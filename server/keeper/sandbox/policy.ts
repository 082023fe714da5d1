// What every sandbox of this gateway may do at most. Only values: nothing here starts or looks at anything.
import type { Network } from '../../../protocol/slot.ts';

/** A host directory or file that is shown in every slot. */
export interface Mount {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/** Ceilings of the kernel. There is none on address space: Node and Java reserve far more than they use. */
export interface Limits {
  /** Processes and threads of one sandbox. */
  readonly processes: number;
  /** The same over all sandboxes of a slot; only where the slot has a user id of its own. */
  readonly slotProcesses: number;
  /** Memory of all sandboxes of a slot together, swap included; only where control groups can be written. 0 = none. */
  readonly memoryBytes: number;
  /** Size of one file. */
  readonly fileBytes: number;
  /** Descriptors of one process. */
  readonly openFiles: number;
  /** /dev/shm of one sandbox. */
  readonly shmBytes: number;
}

export interface Policy {
  /** none: commands run unsandboxed, for development. */
  readonly sandbox: 'bwrap' | 'none';
  readonly mounts: readonly Mount[];
  /** The most that the operator allows. */
  readonly network: Network;
  readonly limits: Limits;
}

export const DEFAULT_LIMITS: Limits = {
  // A parallel build with a few Node processes of a dozen threads each; a fork bomb stops long before it hurts the host.
  processes: 512,
  // Several sandboxes at their ceiling; far from the 32,768 pids of a small host.
  slotProcesses: 4096,
  // What a large build or a browser needs; a leak stops long before it hurts a host of today.
  memoryBytes: 4 * 1024 ** 3,
  // Above any package or model that a task downloads, below what fills a disk in one write loop.
  fileBytes: 4 * 1024 ** 3,
  // Bundlers and watchers open thousands; more is a leak.
  openFiles: 4096,
  // What a browser or multiprocessing needs; it is memory, so it is small.
  shmBytes: 64 * 1024 ** 2,
};

export const DEFAULT_POLICY: Policy = { sandbox: 'bwrap', mounts: [], network: 'none', limits: DEFAULT_LIMITS };

/** Where a place is shown to its payloads. */
export const SHOWN = { workspace: '/workspace', tmp: '/tmp', spool: '/run/slotcast' } as const;

/** What a payload finds in its environment before the order's own variables; PWD comes with the order. */
export const BASE_ENV: Readonly<Record<string, string>> = {
  PATH: '/usr/local/bin:/usr/bin:/bin',
  HOME: SHOWN.workspace,
  LANG: 'C.UTF-8',
  TERM: 'xterm-256color',
};
