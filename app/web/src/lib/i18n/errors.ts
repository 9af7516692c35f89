import { ApiError } from '../api/request';
import { en, type Key } from './en';
import { t } from './index.svelte';

/** What happened, in words: the catalogue's for the codes that it knows, else the service's own. */
export function explain(error: unknown): string {
  if (!(error instanceof ApiError)) return t('error.internal');
  const key = `error.${error.code}`;
  if (key in en) return t(key as Key, { seconds: error.retryAfter ?? 1 });
  return error.message || t('error.internal');
}
