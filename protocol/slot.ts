// slot: leases on slots. A lease outlives its connection by graceMs.
import { z } from 'zod';
import { outcome } from './exec.ts';
import { method, notification } from './method.ts';
import { cols, empty, label, rows, seq, slotName } from './value.ts';
import { signalNames } from './vocabulary.ts';

export const network = z.enum(['none', 'host']);
export type Network = z.infer<typeof network>;

const lastCommand = z.object({
  process: z.string(),
  command: z.string(),
  outcome,
  exitCode: z.int().nullable(),
  signal: z.enum(signalNames).nullable(),
  endedAt: z.number().describe('ms since 1970'),
});
export type LastCommand = z.infer<typeof lastCommand>;

export const slotInfo = z.object({
  slot: slotName,
  state: z.enum(['free', 'leased', 'resetting', 'failed']),
  label: z.string().nullable(),
  since: z.number().nullable().describe('when the state began, ms since 1970'),
  cast: z.string().nullable(),
  viewers: z.int(),
  processes: z.int().describe('how many commands run now'),
  running: z.string().nullable().describe('what runs now: the newest command, in short'),
  runningSince: z.number().nullable().describe('when that began, ms since 1970'),
  commands: z.int().describe('how many commands the lease has started'),
  last: lastCommand.nullable().describe('the newest command of the lease that has ended'),
  activeAt: z
    .number()
    .nullable()
    .describe('the last output, start or end of a command, ms since 1970; null without a lease'),
  terminal: z.object({ cols, rows, title: z.string() }).nullable(),
  network,
  connected: z.boolean().describe('whether the connection of the lease is open'),
  takenOver: z.boolean().describe('whether somebody drives it who took it over and has not given it back'),
  reason: z.string().optional().describe('why the slot failed'),
});
export type SlotInfo = z.infer<typeof slotInfo>;

const acquired = z.object({
  slot: slotName,
  lease: z.string(),
  resume: z.string().describe('secret that binds a new connection to this lease'),
  cast: z.string(),
  workspace: z.literal('/workspace'),
  resumed: z.boolean(),
  sandboxed: z.boolean(),
  network,
  graceMs: z.int(),
});
export type Acquired = z.infer<typeof acquired>;

export const slotMethods = {
  'slot.acquire': method({
    summary: 'Leases a slot and binds this connection to it, or binds again to a lease that its connection lost.',
    role: 'agent',
    needs: 'nothing',
    params: z.strictObject({
      slot: slotName.optional().describe('a certain slot; else any free one'),
      resume: z.string().max(200).optional().describe('what an earlier slot.acquire gave'),
      received: z
        .record(z.string(), z.strictObject({ stdout: z.int().min(0), stderr: z.int().min(0) }))
        .optional()
        .describe('with resume: bytes of each streamed process that had arrived; exec.output goes on from there'),
      label: label.optional(),
      network: network.optional(),
      graceMs: z.int().min(0).max(86_400_000).optional().describe('how long the lease outlives its connection'),
      key: z
        .string()
        .min(16)
        .max(200)
        .optional()
        .describe('a secret of the caller: a second call with it gets the lease that the first one made'),
    }),
    result: acquired,
    faults: ['SLOT_NOT_FOUND', 'SLOT_BUSY', 'NO_FREE_SLOT', 'RESUME_GONE', 'NO_SPACE'],
  }),
  'slot.release': method({
    summary: 'Ends the lease: stops everything in the slot, seals the cast and, unless told not to, empties the slot.',
    role: 'agent',
    needs: 'slot',
    params: z.strictObject({ reset: z.boolean().default(true) }),
    result: empty,
    faults: [],
  }),
  'slot.reset': method({
    summary:
      'Stops everything in the slot and empties workspace and /tmp. The lease goes on; another slot only as admin.',
    role: 'agent',
    needs: 'nothing',
    params: z.strictObject({ slot: slotName.optional() }),
    result: empty,
    faults: ['NOT_BOUND', 'LEASE_LOST', 'SLOT_NOT_FOUND', 'SLOT_BUSY', 'FORBIDDEN'],
  }),
  'slot.list': method({
    summary: 'Every slot that the token allows.',
    role: 'viewer',
    needs: 'nothing',
    params: empty,
    result: z.object({ slots: z.array(slotInfo) }),
    faults: [],
  }),
  'slot.info': method({
    summary: 'One slot; without a name the one that this connection drives.',
    role: 'viewer',
    needs: 'nothing',
    params: z.strictObject({ slot: slotName.optional() }),
    result: slotInfo,
    faults: ['NOT_BOUND', 'LEASE_LOST', 'SLOT_NOT_FOUND'],
  }),
  'slot.takeover': method({
    summary:
      "Binds this connection to another one's lease; that one is closed with 4409. Admin, or agent with the same label.",
    role: 'agent',
    needs: 'nothing',
    params: z.strictObject({
      slot: slotName,
      label: label.optional().describe('what the lease is labelled; an agent must name it'),
    }),
    result: acquired,
    faults: ['SLOT_NOT_FOUND', 'SLOT_BUSY', 'FORBIDDEN'],
  }),
  'slot.giveback': method({
    summary:
      'Ends a take-over: the resume secret of the lease counts again, this one is void, and this connection drives nothing.',
    role: 'agent',
    needs: 'slot',
    params: empty,
    result: empty,
    faults: ['INVALID_REQUEST'],
  }),
} as const;

const slotScreen = z.object({
  slot: slotName,
  cast: z.string().nullable().describe('null when there is no terminal any more'),
  seq: seq.describe('the frame as of which it is'),
  cols: z.int(),
  rows: z.int(),
  cursor: z.object({ col: z.int(), row: z.int(), visible: z.boolean() }).nullable(),
  alternateScreen: z.boolean().describe('whether a full-screen program has the terminal'),
  lines: z.array(z.string()).describe('plain rows from the top, without blanks and empty rows at the end'),
});
export type SlotScreen = z.infer<typeof slotScreen>;

export const slotNotifications = {
  'slots.screens': notification({
    summary:
      'Terminals as text, for connections that asked by watch.slots {screens}: all at first, then what changed, a few times a second.',
    params: z.object({ screens: z.array(slotScreen) }),
  }),
  'slots.changed': notification({
    summary: 'Slots that changed since the last message, for connections that asked by watch.slots.',
    params: z.object({ slots: z.array(slotInfo) }),
  }),
} as const;
