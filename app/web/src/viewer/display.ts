import type { Shown } from '../lib/api';

const SHOWN_BY_BROWSERS = new Set(['image/jpeg', 'image/png', 'image/webp', 'image/gif', 'image/avif']);

/** The largest version of a picture that every browser shows. */
export function displayUrl(media: Shown): string | null {
  if (media.mime_type && SHOWN_BY_BROWSERS.has(media.mime_type)) return media.file_url;
  return media.clipboard_url ?? media.thumbnail_url;
}
