// The closed lists of words that the wire and recordings use, as plain values: for what has to stay small, and for the schemas made of them.

/** exited: with exitCode. signaled: ended by `signal`. timedOut: stopped by a timeout. lost: its end could not be observed. */
export const outcomes = ['exited', 'signaled', 'timedOut', 'lost'] as const;
export type Outcome = (typeof outcomes)[number];

/** What a slot may have too much of. */
export const limits = ['memory', 'processes', 'disk', 'output'] as const;
export type Limit = (typeof limits)[number];

export const signalNames = [
  'HUP', 'INT', 'QUIT', 'ILL', 'TRAP', 'ABRT', 'BUS', 'FPE', 'KILL', 'USR1', 'SEGV', 'USR2', 'PIPE', 'ALRM', 'TERM',
  'STKFLT', 'CHLD', 'CONT', 'STOP', 'TSTP', 'TTIN', 'TTOU', 'URG', 'XCPU', 'XFSZ', 'VTALRM', 'PROF', 'WINCH', 'IO', 'PWR', 'SYS',
] as const; // biome-ignore format: position + 1 is the number on Linux, x86_64 and aarch64 alike
export type SignalName = (typeof signalNames)[number];

/** o output, r resize "COLSxROWS", m marker, x exit status, i input (only if the operator records it). */
export const frameCodes = ['o', 'r', 'm', 'x', 'i'] as const;
export type FrameCode = (typeof frameCodes)[number];

/** Of a recording: it becomes the name of a file. */
export const CAST_ID = /^cast_[0-9a-z_-]{1,80}$/;
