// One order of /execute or /batch: finds its slot and tool, runs it once, and answers in the one shape, whatever happens.
import { Fault } from '../../../protocol/fault.ts';
import { requireSlot, type Scope } from '../../auth/scope.ts';
import type { Library } from '../../cast/library.ts';
import { bash, bashStateful } from './bash.ts';
import type { HttpSlot } from './http-slot.ts';
import { isRecord, plain, type Seconds, secondsOf } from './python.ts';
import { ApiError, failed, type ToolReply, type ToolResult } from './reply.ts';
import { readFile, writeFile } from './text-file.ts';
import { tmux } from './tmux.ts';

const DEFAULT_TIMEOUT: Seconds = { value: 30, text: '30.0' };

export interface ExecuteParts {
  readonly slots: ReadonlyMap<string, HttpSlot>;
  readonly library: Library;
}

interface Order {
  readonly slot: HttpSlot;
  readonly tool: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly timeout: Seconds | null;
  readonly library: Library;
  /** For the call that does the work: it is done once, whoever asks again. */
  readonly key: string | undefined;
}

const tools: Readonly<Record<string, (order: Order) => Promise<ToolResult>>> = {
  bash: (order) => bash(order.slot, bashOrder(order, 'require_sandbox')),
  bash_stateful: (order) => bashStateful(order.slot, bashOrder(order, 'require_stateful_sandbox')),
  read_file: ({ slot, args }) => readFile(slot, args['path']),
  write_file: ({ slot, args }) => writeFile(slot, args['path'], args['content']),
  tmux: ({ slot, args, timeout, library }) => tmux(slot, { args, timeout, library }),
};

function bashOrder({ args, timeout, key }: Order, required: string) {
  const { command } = args;
  const allowNetwork = args['allow_network'] !== false;
  return { command, allowNetwork, requireSandbox: args[required] === true, timeout, key };
}

/** `given` has LosslessNumber for numbers. Throws ApiError for what is no order at all. */
export async function execute(parts: ExecuteParts, given: unknown, scope: Scope): Promise<ToolReply> {
  if (!isRecord(given)) throw new ApiError(500, 'A request is a JSON object.');
  const { args = {}, timeout } = given;
  if (!isRecord(args)) throw new ApiError(500, 'args must be an object.');
  const [slotId, tool, id] = ['slot_id', 'tool', 'execution_id'].map((name) => plain(given[name]));
  const executionId = id === undefined || id === null ? null : String(id);
  const answer = (result: ToolResult): ToolReply => {
    const { success, output, error, metadata } = result;
    return { success, output, error, execution_id: executionId, metadata };
  };
  try {
    const slot = slotNamed(parts, slotId, scope);
    if (typeof slot === 'string') return answer(failed(slot));
    const run = typeof tool === 'string' && Object.hasOwn(tools, tool) ? tools[tool] : undefined;
    if (run === undefined) return answer(failed(`Unknown tool: ${String(tool ?? 'None')}`));
    const limit = timeoutOf(timeout);
    if (limit === undefined) return answer(failed('timeout must be a number of seconds or null'));
    const order = { slot, tool: tool as string, args, timeout: limit, library: parts.library };
    const execution = { id: executionId, order: plain([tool, args, timeout]) };
    return answer(await slot.once(execution, (key) => run({ ...order, key })));
  } catch (error) {
    // A fault says what happened and what to do; it is a failed tool here, not a failed request.
    if (error instanceof Fault && error.fault !== 'INTERNAL') return answer(failed(error.message));
    throw error;
  }
}

/** The slot, or why there is none for who asks. */
export function slotNamed({ slots }: Pick<ExecuteParts, 'slots'>, slotId: unknown, scope: Scope): HttpSlot | string {
  const name = String(slotId ?? 'None');
  if (scope.slot !== null || scope.cast !== null) requireSlot(scope, name);
  return slots.get(name) ?? `Unknown slot: ${name}`;
}

/** undefined for what is no time. */
function timeoutOf(given: unknown): Seconds | null | undefined {
  if (given === undefined) return DEFAULT_TIMEOUT;
  return given === null ? null : (secondsOf(given) ?? undefined);
}
