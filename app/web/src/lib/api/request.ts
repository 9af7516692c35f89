import { session } from '../session.svelte';

/** The service refused a request, or could not be reached: then `status` is 0 and `code` is `offline`. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    /** In seconds. */
    readonly retryAfter: number | null = null,
  ) {
    super(message);
  }

  /** The error that the body of a response tells. */
  static parse(status: number, body: string, retryAfter: string | null = null): ApiError {
    try {
      const { code, message } = (JSON.parse(body) as { error: { code: string; message: string } }).error;
      return new ApiError(status, code, message, retryAfter === null ? null : Number(retryAfter));
    } catch {
      return new ApiError(status, 'internal', body.slice(0, 200));
    }
  }
}

interface Options {
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** Instead of the session's. */
  token?: string | undefined;
}

/** Sends a request with the session's token. An answer of 401 ends the session, unless there is another token for it. */
export async function request(method: string, path: string, options: Options = {}): Promise<Response> {
  const headers = new Headers(options.headers);
  const token = options.token ?? (await session.fresh());
  if (token) headers.set('authorization', `Bearer ${token}`);
  const init: RequestInit = { method, headers };
  if (options.body instanceof FormData) {
    init.body = options.body;
  } else if (options.body !== undefined) {
    headers.set('content-type', 'application/json');
    init.body = JSON.stringify(options.body);
  }
  if (options.signal) init.signal = options.signal;
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, 'offline', String(error));
  }
  if (response.ok) return response;
  const error = ApiError.parse(response.status, await response.text(), response.headers.get('retry-after'));
  if (error.code === 'unauthorized' && token && options.token === undefined) {
    if (session.refuse(token)) return request(method, path, options);
    if (token === session.token) session.expire();
  }
  throw error;
}

export async function requestJson<T>(method: string, path: string, options: Options = {}): Promise<T> {
  return (await (await request(method, path, options)).json()) as T;
}

/** Whether an operation was cancelled by the page itself. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

/** Whether a request that failed may succeed later. */
export function mayPass(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 500);
}
