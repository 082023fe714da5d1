// Bytes as base64 text and back, alike in Node and browsers. Pure.

/** Arguments that every engine takes in one call. */
const PART = 0x8000;

export function encodeBase64(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += PART) binary += String.fromCharCode(...bytes.subarray(at, at + PART));
  return btoa(binary);
}

/** Throws DOMException when it is no base64. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** As above without padding, in the alphabet that goes into a subprotocol. */
export function encodeBase64Url(text: string): string {
  const padded = encodeBase64(new TextEncoder().encode(text));
  return padded.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}
