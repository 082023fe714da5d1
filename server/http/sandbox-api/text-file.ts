// The tools read_file and write_file: small text files of the workspace.
import { Fault } from '../../../protocol/fault.ts';
import type { HttpSlot } from './http-slot.ts';
import { done, failed, type ToolResult } from './reply.ts';

/** Of a file that goes through these tools, in bytes; larger ones go through /artifacts. */
const MAX_FILE_BYTES = 100_000;

export async function readFile(slot: HttpSlot, path: unknown): Promise<ToolResult> {
  if (typeof path !== 'string' || path === '') return failed('Missing path');
  try {
    const { data, size } = await slot.call('file.read', { path, maxBytes: MAX_FILE_BYTES });
    if (size > MAX_FILE_BYTES) return failed(`File too large: ${size} bytes (max ${MAX_FILE_BYTES})`);
    return done(data, { path, size });
  } catch (error) {
    return failed(fileError(error, path, 'File not found'));
  }
}

export async function writeFile(slot: HttpSlot, path: unknown, content: unknown): Promise<ToolResult> {
  if (typeof path !== 'string' || path === '') return failed('Missing path');
  if (typeof content !== 'string') return failed('Missing content');
  const size = Buffer.byteLength(content);
  if (size > MAX_FILE_BYTES) return failed(`Content too large: ${size} bytes (max ${MAX_FILE_BYTES})`);
  try {
    await slot.call('file.write', { path, data: content });
    return done(`Successfully wrote ${size} bytes to ${path}`, { path, size });
  } catch (error) {
    return failed(fileError(error, path, 'File not found'));
  }
}

/** In the predecessor's words; what it had none for is thrown on. */
export function fileError(error: unknown, path: string, notFound: string): string {
  if (!(error instanceof Fault)) throw error;
  if (error.fault === 'PATH_OUTSIDE') return 'Access denied: path outside workspace';
  if (error.fault === 'FILE_NOT_FOUND') return `${notFound}: ${path}`;
  if (error.fault === 'WRONG_FILE_KIND') return `Not a file: ${path}`;
  throw error;
}
