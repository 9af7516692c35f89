import { DetailedError, Upload } from 'tus-js-client';
import { ApiError } from '../api';
import { session } from '../session.svelte';

/** Between attempts while the service is away, as it is during a deploy: ten minutes in all. Progress begins them anew. */
const RETRY_MS = [0, 1000, 3000, 5000, 10_000, 20_000, ...Array.from({ length: 19 }, () => 30_000)];

/** Attempts after an error of the service itself. */
const ERROR_RETRIES = 5;

/** Statuses of a service, or of a proxy before it, that is away for a while. */
const AWAY = [0, 502, 503, 504];

interface Events {
  /** It is tried again. */
  onLost: () => void;
  onProgress: (sent: number) => void;
  /** `upload` is the id of the upload itself. */
  onSuccess: (media: string, upload: string) => void;
  onError: (error: ApiError) => void;
}

export interface Sending {
  /** Stops; `discard` also deletes what has arrived. */
  stop: (discard: boolean) => Promise<void>;
}

/** Sends a file by tus. It continues an earlier upload of the same file that has not come to its end. */
export function send(file: File, events: Events): Sending {
  let media = '';
  let token: string | null = null;
  const upload = new Upload(file, {
    endpoint: '/api/uploads',
    metadata: { filename: nameOf(file) },
    retryDelays: RETRY_MS,
    onShouldRetry: (error, attempt) => {
      const status = error.originalResponse?.getStatus() ?? 0;
      if (status === 401) return token !== null && session.refuse(token);
      const retries = navigator.onLine && shouldRetry(status, attempt);
      if (retries) events.onLost();
      return retries;
    },
    removeFingerprintOnSuccess: true,
    onBeforeRequest: async (request) => {
      token = await session.fresh();
      request.setHeader('authorization', `Bearer ${token}`);
    },
    onAfterResponse: (_, response) => {
      media = response.getHeader('upload-media') ?? media;
    },
    onProgress: (sent) => events.onProgress(sent),
    onSuccess: () => events.onSuccess(media, upload.url?.split('/').pop() ?? ''),
    onError: (error) => events.onError(toApiError(error)),
  });
  void upload.findPreviousUploads().then(([previous]) => {
    if (previous) upload.resumeFromPreviousUpload(previous);
    upload.start();
  });
  return { stop: (discard) => upload.abort(discard) };
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

function toApiError(error: Error): ApiError {
  const response = error instanceof DetailedError ? error.originalResponse : null;
  if (!response) return new ApiError(0, 'offline', error.message);
  return ApiError.parse(response.getStatus(), response.getBody(), response.getHeader('retry-after') ?? null);
}
