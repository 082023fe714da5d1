// The bytes that a call carries as text.
import { Fault } from '../../protocol/fault.ts';

/** INVALID_PARAMS for what is no base64: Node would skip it, and other bytes than were meant would arrive. */
export function bytesOf(field: string, text: string, encoding: 'utf8' | 'base64'): Buffer {
  if (encoding === 'base64' && !/^[A-Za-z0-9+/_\s-]*={0,2}\s*$/.test(text)) {
    throw new Fault('INVALID_PARAMS', `${field}: not base64`);
  }
  return Buffer.from(text, encoding);
}
