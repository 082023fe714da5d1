// The shapes of this API's replies. Clients check them strictly: names, order of words and content type are those of the predecessor.
import { Fault } from '../../../protocol/fault.ts';

/** What every tool answers. */
export interface ToolReply {
  readonly success: boolean;
  readonly output: string;
  readonly error: string;
  readonly execution_id: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** A tool's answer before it is known who asked. */
export type ToolResult = Omit<ToolReply, 'execution_id'>;

export const done = (output: string, metadata: ToolResult['metadata'] = {}): ToolResult => ({
  success: true,
  output,
  error: '',
  metadata,
});

export const failed = (error: string, metadata: ToolResult['metadata'] = {}, output = ''): ToolResult => ({
  success: false,
  output,
  error,
  metadata,
});

/** A request that cannot be answered as it is: `status` and `error` are the predecessor's. */
export class ApiError extends Error {
  readonly status: number;
  readonly detail: Readonly<Record<string, unknown>>;

  constructor(status: number, error: string, detail: Readonly<Record<string, unknown>> = {}) {
    super(error);
    this.status = status;
    this.detail = detail;
  }
}

export function reply(body: unknown, status = 200): Response {
  const headers = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' };
  return new Response(JSON.stringify(body), { status, headers });
}

/** Any failure in the one form that this API has for it. Null for what is a defect: the caller logs it. */
export function errorReply(error: unknown): Response | null {
  if (error instanceof ApiError) {
    return reply({ success: false, error: error.message, ...error.detail }, error.status);
  }
  if (error instanceof Fault) return reply({ success: false, error: error.message }, error.http);
  return null;
}
