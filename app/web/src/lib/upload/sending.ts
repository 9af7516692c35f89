import type { ApiError } from '../api';

/** Between attempts while the service or the store is away, as a service is during a deploy: ten minutes in all. Progress begins them anew. */
export const RETRY_MS = [0, 1000, 3000, 5000, 10_000, 20_000, ...Array.from({ length: 19 }, () => 30_000)];

/** Attempts after an error of the service itself. */
const ERROR_RETRIES = 5;

/** Statuses of a service, or of a proxy before it, that is away for a while. */
const AWAY = [0, 502, 503, 504];

export interface Events {
  /** It is tried again. */
  onLost: () => void;
  onProgress: (sent: number) => void;
  /** `upload` is the id of the upload itself. */
  onSuccess: (media: string, upload: string) => void;
  /** With `unauthorized`, it goes on once the user has signed in again. */
  onError: (error: ApiError) => void;
}

export interface Sending {
  /** Stops; `discard` also deletes what has arrived. */
  stop: (discard: boolean) => Promise<void>;
}

/** A name that the service takes: a file on a disk may have another one, and is not to be refused for it. */
export function nameOf(file: File): string {
  return [...file.name.replace(/[\p{Cc}/\\]/gu, '_')].slice(0, 255).join('');
}

/** Whether a request that failed may succeed later. A file that is refused, or for which there is no space, is not sent again. */
export function shouldRetry(status: number, attempt: number): boolean {
  if (AWAY.includes(status)) return true;
  // 409 and 423: another request of the same upload has not ended yet.
  return attempt < ERROR_RETRIES && (status === 409 || status === 423 || (status >= 500 && status !== 507));
}
