// Uploads past the service: the service signs a URL for each part of a file, and the store takes it there.

import { ApiError, type BegunUpload, uploads, type UploadRequest } from '../api';
import { live } from '../live.svelte';
import { type Events, nameOf, RETRY_MS, type Sending, shouldRetry } from './sending';

/** Smaller files have one part only, for which the way through the service is the shorter one. */
const LEAST = 8 * 1024 * 1024;

/** Of one file. */
const PARTS_AT_ONCE = 2;

/** What the service signs parts of. */
const TYPES: UploadRequest['content_type'][] = [
  'image/jpeg',
  'image/png',
  'image/webp',
  'image/avif',
  'image/gif',
  'video/mp4',
  'video/quicktime',
  'video/webm',
  'video/x-matroska',
];

/** Requests to the store that fail without an answer before it is taken for one that does not know this page's origin. */
const BLOCKED_AFTER = 3;

/** After so long it is asked for again whether a file was looked into, if the service has told nothing. */
const ASK_AGAIN_MS = 15_000;

/** Where the browser keeps which uploads are not done: by the id of the file. */
const KEY = 'store-uploads';

/** Whether the store takes files from this page; `null` as long as none was sent. */
let takesFiles: boolean | null = null;

export function isForStore(file: File): boolean {
  return takesFiles !== false && file.size > LEAST && typeOf(file) !== undefined;
}

/** Forgets the upload of a file that is not being sent, and deletes what has arrived. */
export async function discard(id: string): Promise<void> {
  const begun = recall(id);
  forget(id);
  if (begun) await uploads.cancel(begun.image_id).catch(() => undefined);
}

/** Sends a file. Calls `refused`, once and with nothing left there, if it has to go another way. */
export function sendToStore(id: string, file: File, events: Events, refused: () => void): Sending {
  const upload = new StoreUpload(id, file, events);
  upload.run().catch((error: unknown) => {
    if (error instanceof Refused) refused();
    else if (!upload.isStopped) events.onError(error instanceof ApiError ? error : new ApiError(0, 'offline', String(error)));
  });
  return { stop: (discard) => upload.stop(discard) };
}

function typeOf(file: File): UploadRequest['content_type'] | undefined {
  return TYPES.find((type) => type === file.type);
}

/** The store takes no files from this page, or not this one. */
class Refused extends Error {}

class StoreUpload {
  readonly #id: string;
  readonly #file: File;
  readonly #events: Events;
  /** Ends all of its requests. */
  readonly #end = new AbortController();
  isStopped = false;
  #begun: BegunUpload | null;
  /** How much of each part is there, in bytes. */
  readonly #sent = new Map<number, number>();
  #failures = 0;

  constructor(id: string, file: File, events: Events) {
    this.#id = id;
    this.#file = file;
    this.#events = events;
    this.#begun = recall(id);
  }

  async run(): Promise<void> {
    const begun = await this.#sendOnce().catch(async (error: unknown) => {
      if (!(error instanceof ApiError) || error.code !== 'not_uploaded' || this.isStopped) throw error;
      // The store has lost what it had: all is sent anew.
      await this.#discard();
      this.#begun = null;
      return this.#sendOnce();
    });
    const media = await this.#settled(begun);
    forget(this.#id);
    this.#events.onSuccess(media, begun.image_id);
  }

  /** Sends what is missing. */
  async #sendOnce(): Promise<BegunUpload> {
    let begun = this.#begun ?? (await this.#begin());
    let missing = await this.#missing(begun);
    if (missing === 'unknown') {
      begun = await this.#begin();
      missing = await this.#missing(begun);
    }
    if (missing instanceof Array) await this.#sendAll(begun, missing);
    this.#events.onProgress(this.#file.size);
    await this.#retried(() => uploads.complete(begun.image_id));
    return begun;
  }

  async stop(discard: boolean): Promise<void> {
    this.isStopped = true;
    this.#end.abort();
    if (discard) await this.#discard();
  }

  async #begin(): Promise<BegunUpload> {
    const content_type = typeOf(this.#file);
    if (!content_type) throw new Refused();
    const upload = { content_type, file_name: nameOf(this.#file), content_length: this.#file.size };
    try {
      const begun = await this.#retried(() => uploads.begin(upload));
      this.#begun = begun;
      remember(this.#id, begun);
      if (this.isStopped) await this.#discard();
      return begun;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code === 'no_bucket') takesFiles = false;
      // The service itself takes as many as there are.
      throw error.code === 'no_bucket' || error.code === 'too_many_uploads' ? new Refused() : error;
    }
  }

  /** The parts that have not arrived; `all` if there are none to be sent any more, `unknown` if there is no such upload. */
  async #missing({ image_id, part_count, part_size }: BegunUpload): Promise<number[] | 'all' | 'unknown'> {
    const orNull = (error: unknown): null => {
      if (error instanceof ApiError && error.code === 'not_found') return null;
      throw error;
    };
    const arrived = await this.#retried(() => uploads.parts(image_id).catch(orNull));
    if (!arrived) return (await this.#retried(() => uploads.status(image_id, 0).catch(orNull))) ? 'all' : 'unknown';
    this.#sent.clear();
    for (const { part_number, size } of arrived.items) {
      // A store may keep what it got of a request that was cut off.
      const whole = Math.min(part_size, this.#file.size - (part_number - 1) * part_size);
      if (size === whole) this.#sent.set(part_number, size);
    }
    const numbers = Array.from({ length: part_count }, (_, place) => place + 1);
    return numbers.filter((number) => !this.#sent.has(number));
  }

  async #sendAll(begun: BegunUpload, numbers: number[]): Promise<void> {
    const waiting = [...numbers];
    const sendNext = async (): Promise<void> => {
      for (let number = waiting.shift(); number !== undefined; number = waiting.shift()) await this.#sendPart(begun, number);
    };
    try {
      await Promise.all(Array.from({ length: PARTS_AT_ONCE }, sendNext));
    } catch (error) {
      this.#end.abort();
      throw error;
    }
  }

  async #sendPart({ image_id, part_size }: BegunUpload, number: number): Promise<void> {
    const part = this.#file.slice((number - 1) * part_size, number * part_size);
    let status = 0;
    const attempt = async (): Promise<void> => {
      status = 0;
      // Signed anew at each attempt: an URL lives for minutes.
      const [signed] = (await uploads.sign(image_id, [number], this.#end.signal)).items;
      if (!signed) throw new ApiError(500, 'internal', 'no URL');
      status = await put(signed.upload_url, part, this.#end.signal, (sent) => this.#progress(number, sent));
      if (status >= 200 && status < 300) {
        takesFiles = true;
        this.#progress(number, part.size);
        return;
      }
      this.#progress(number, 0);
      if (status === 0 && takesFiles === null && ++this.#failures >= BLOCKED_AFTER) {
        takesFiles = false;
        await this.#discard();
        throw new Refused();
      }
      // The store refuses what came too late, or what it has lost.
      throw new ApiError(status === 0 ? 0 : Math.max(status, 500), status === 0 ? 'offline' : 'internal', `the store answered ${status}`);
    };
    try {
      await this.#retried(attempt);
    } catch (error) {
      if (status !== 403 || this.#end.signal.aborted) throw error;
      // It forbids this, and not only for the moment.
      await this.#discard();
      throw new Refused();
    }
  }

  /** Waits until the service has looked into the file. Returns the media that has it. */
  async #settled({ image_id }: BegunUpload): Promise<string> {
    for (;;) {
      // It listens before it asks: nothing is missed between.
      const answered = new AbortController();
      const processed = live.processed(image_id, AbortSignal.any([this.#end.signal, answered.signal]));
      try {
        const { status, failure, duplicate_of } = await this.#retried(() => uploads.status(image_id, 0, this.#end.signal));
        if (status === 'ready') return image_id;
        if (status === 'failed' && duplicate_of !== null) return duplicate_of;
        if (status === 'failed') {
          forget(this.#id);
          // The type was taken from the name. The service itself finds it by the content.
          throw failure === 'other_type' ? new Refused() : new ApiError(422, failure ?? 'processing_failed', '');
        }
        await Promise.race([processed, new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS))]);
      } finally {
        answered.abort();
      }
    }
  }

  async #discard(): Promise<void> {
    forget(this.#id);
    if (this.#begun) await uploads.cancel(this.#begun.image_id).catch(() => undefined);
  }

  #progress(number: number, sent: number): void {
    this.#sent.set(number, sent);
    this.#events.onProgress([...this.#sent.values()].reduce((sum, sent) => sum + sent, 0));
  }

  /** Tries again what may succeed later. */
  async #retried<T>(run: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      this.#end.signal.throwIfAborted();
      try {
        return await run();
      } catch (error) {
        const pause = RETRY_MS[attempt];
        // The service refuses with 409 what will not change.
        const mayRetry = error instanceof ApiError && navigator.onLine && error.status !== 409 && shouldRetry(error.status, attempt);
        if (this.#end.signal.aborted || !mayRetry || pause === undefined) throw error;
        this.#events.onLost();
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }
}

/** Puts a part into the store. Returns the status of the answer, or 0 without one. `fetch` tells of no progress. */
async function put(url: string, body: Blob, signal: AbortSignal, onProgress: (sent: number) => void): Promise<number> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = (): void => request.abort();
    request.open('PUT', url);
    request.upload.onprogress = ({ loaded }) => onProgress(loaded);
    request.onload = () => resolve(request.status);
    request.onerror = () => resolve(0);
    request.onabort = () => reject(new DOMException('', 'AbortError'));
    request.onloadend = () => signal.removeEventListener('abort', abort);
    signal.addEventListener('abort', abort);
    request.send(body);
  });
}

function readAll(): Record<string, BegunUpload> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}') as Record<string, BegunUpload>;
  } catch {
    return {};
  }
}

/** The upload of a file that has begun, as long as the service waits for it. */
function recall(id: string): BegunUpload | null {
  const begun = readAll()[id];
  return begun && Date.parse(begun.expires_at) > Date.now() ? begun : null;
}

function remember(id: string, begun: BegunUpload): void {
  write({ ...readAll(), [id]: begun });
}

function forget(id: string): void {
  write(Object.fromEntries(Object.entries(readAll()).filter(([other]) => other !== id)));
}

function write(all: Record<string, BegunUpload>): void {
  const open = Object.entries(all).filter(([, { expires_at }]) => Date.parse(expires_at) > Date.now());
  localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(open)));
}
