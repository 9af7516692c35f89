import { DetailedError, Upload } from 'tus-js-client';
import { ApiError } from '../api';
import { session } from '../session.svelte';
import { type Events, nameOf, RETRY_MS, type Sending, shouldRetry } from './sending';

/** Sends a file by tus. It continues an earlier upload of the same file that has not come to its end. */
export function sendByTus(file: File, events: Events): Sending {
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
    onError: (error) => {
      const refusal = toApiError(error);
      // The user may have signed in again by now.
      if (refusal.code === 'unauthorized' && token === session.token) session.expire();
      events.onError(refusal);
    },
  });
  void upload.findPreviousUploads().then(([previous]) => {
    if (previous) upload.resumeFromPreviousUpload(previous);
    upload.start();
  });
  return { stop: (discard) => upload.abort(discard) };
}

function toApiError(error: Error): ApiError {
  const response = error instanceof DetailedError ? error.originalResponse : null;
  if (!response) return new ApiError(0, 'offline', error.message);
  return ApiError.parse(response.getStatus(), response.getBody(), response.getHeader('retry-after') ?? null);
}
