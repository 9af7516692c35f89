import { thumbHashToDataURL } from 'thumbhash';

const KEPT = 500;
const made = new Map<string, string>();

/** A blurred picture, as a data URL, of a thumbhash in Base64. */
export function placeholder(hash: string): string {
  const known = made.get(hash);
  if (known) return known;
  const url = thumbHashToDataURL(Uint8Array.from(atob(hash), (char) => char.charCodeAt(0)));
  if (made.size >= KEPT) made.clear();
  made.set(hash, url);
  return url;
}
