import { ApiError, type Media, media } from '../api';
import { gallery } from '../gallery/gallery.svelte';
import { live } from '../live.svelte';
import { online } from '../online.svelte';
import { session } from '../session.svelte';
import { forget, keep, type Kept, listKept } from './kept';
import { send } from './send';
import type { Sending } from './sending';
import { discard } from './store';

/** How many are sent at once. */
const AT_ONCE = 3;

/** A file on its way. */
export class UploadItem {
  readonly id: string;
  readonly file: File;
  /** In bytes. */
  sent = $state(0);
  state = $state<'waiting' | 'sending' | 'processing' | 'done' | 'duplicate' | 'failed'>('waiting');
  /** Whether the service does not answer at the moment. */
  isLost = $state(false);
  error = $state.raw<unknown>(null);
  media = $state.raw<Media | null>(null);
  sending: Sending | null = null;

  constructor(file: File, id: string = crypto.randomUUID()) {
    this.file = file;
    this.id = id;
  }

  get isActive(): boolean {
    return this.state === 'sending' || this.state === 'processing';
  }
}

/** The files that are sent, three at a time, in the order in which they came. */
class Queue {
  items = $state.raw<UploadItem[]>([]);
  active = $derived(this.items.filter((item) => item.isActive).length);
  open = $derived(this.items.filter((item) => item.isActive || item.state === 'waiting').length);

  /** What other programs have shared with this one. */
  offered = $state.raw<Kept[]>([]);
  #postponed: string[] = [];

  constructor() {
    addEventListener('online', () => this.#retryLost());
  }

  add(files: Iterable<File>): void {
    const added = [...files].map((file) => new UploadItem(file));
    this.items = [...this.items, ...added];
    // What cannot be kept, because the browser's space is full, is sent all the same.
    for (const { id, file } of added) keep({ id, file }).catch(() => undefined);
    this.start();
  }

  /** Continues what a reload or a closed tab has interrupted. */
  async restore(): Promise<void> {
    const kept = await listKept().catch(() => []);
    const known = new Set(this.items.map((item) => item.id));
    const lost = kept.filter(({ id, isOffered }) => !isOffered && !known.has(id)).map(({ id, file }) => new UploadItem(file, id));
    this.items = [...lost, ...this.items];
    this.offered = kept.filter(({ id, isOffered }) => isOffered && !known.has(id) && !this.#postponed.includes(id));
    this.start();
  }

  /** Uploads what is offered. */
  accept(): void {
    const accepted = this.offered;
    this.offered = [];
    this.items = [...this.items, ...accepted.map(({ id, file }) => new UploadItem(file, id))];
    for (const { id, file } of accepted) keep({ id, file }).catch(() => undefined);
    this.start();
  }

  async discard(): Promise<void> {
    const discarded = this.offered;
    this.offered = [];
    for (const { id } of discarded) await forget(id).catch(() => undefined);
  }

  /** Offers it again when the page is loaded again. */
  postpone(): void {
    this.#postponed.push(...this.offered.map(({ id }) => id));
    this.offered = [];
  }

  /** Starts what waits, as far as there is room. */
  start(): void {
    if (!session.token) return;
    for (const item of this.items.filter((item) => item.state === 'waiting')) {
      if (this.active >= AT_ONCE) return;
      this.#send(item);
    }
  }

  retry(item: UploadItem): void {
    item.state = 'waiting';
    this.start();
  }

  /** Stops and forgets a file. */
  async cancel(item: UploadItem): Promise<void> {
    this.items = this.items.filter((other) => other !== item);
    await item.sending?.stop(true).catch(() => undefined);
    // One that was not sent since a reload may have begun before it.
    await discard(item.id);
    await forget(item.id).catch(() => undefined);
    this.start();
  }

  /** Takes what has come to its end off the list. */
  clear(): void {
    for (const { id } of this.items.filter((item) => item.state === 'failed')) {
      void discard(id);
      forget(id).catch(() => undefined);
    }
    this.items = this.items.filter((item) => item.isActive || item.state === 'waiting');
  }

  #send(item: UploadItem): void {
    item.state = 'sending';
    item.isLost = false;
    item.error = null;
    if (item.file.size === 0) {
      this.#fail(item, new ApiError(400, 'empty_file', ''));
      return;
    }
    item.sending = send(item.id, item.file, {
      onProgress: (sent) => {
        item.isLost = false;
        item.sent = sent;
      },
      onLost: () => (item.isLost = true),
      onSuccess: (id, upload) => void this.#arrived(item, id, upload),
      onError: (error) => {
        if (error.code === 'unauthorized') {
          // It goes on once the user has signed in again.
          item.state = 'waiting';
          // Perhaps another session has begun already.
          this.start();
        } else {
          this.#fail(item, error);
        }
      },
    });
  }

  async #arrived(item: UploadItem, id: string, upload: string): Promise<void> {
    item.sent = item.file.size;
    item.state = 'processing';
    try {
      // Ids grow with time: a media that is older than the upload was there before.
      const isDuplicate = id < upload;
      let found = await media.get(id);
      if (!isDuplicate) gallery.add(found);
      while (found.status === 'pending') {
        await live.processed(id);
        found = await media.get(id);
        if (found.status !== 'pending') gallery.put(found);
      }
      item.media = found;
      if (found.status === 'failed') {
        this.#fail(item, new ApiError(422, found.failure ?? 'processing_failed', ''));
        return;
      }
      item.state = isDuplicate ? 'duplicate' : 'done';
      forget(item.id).catch(() => undefined);
      this.start();
    } catch (error) {
      this.#fail(item, error);
    }
  }

  #fail(item: UploadItem, error: unknown): void {
    item.error = error;
    item.state = 'failed';
    // A refused file will be refused again, also after a reload.
    if (error instanceof ApiError && error.status >= 400 && error.status < 500) {
      void discard(item.id);
      forget(item.id).catch(() => undefined);
    }
    this.start();
  }

  #retryLost(): void {
    if (!online.now) return;
    for (const item of this.items) {
      if (item.state === 'failed' && item.error instanceof ApiError && item.error.code === 'offline') this.retry(item);
    }
  }
}

export const queue = new Queue();
