import { request } from './api/request';
import { session } from './session.svelte';

/** How often those who listen are told to look while the service does not tell them. */
const POLL_MS = 2000;

/** The service sends something every 15 seconds: a stream that is silent for longer is dead. */
const SILENCE_MS = 40_000;

/** The pause before a stream is asked for again; it grows with each failure. */
const PAUSE_MS = { first: 1000, most: 60_000 };

/** Is told the id of a media that was processed, changed or deleted, or `null`: any may have been. `isClock` if the service has not said so. */
type Listener = (id: string | null, isClock: boolean) => void;

/**
 * Tells which media were processed, changed or deleted: as the service streams it (server-sent events, read by `fetch`, because an `EventSource` sends no
 * token), or by the clock while no stream is to be had, for example behind a proxy that holds streams back.
 */
class Live {
  /** Whether the service tells. */
  isTold = $state(false);
  #listeners = new Set<Listener>();
  #polling: ReturnType<typeof setInterval> | undefined;

  /** Listens from now on. Returns what ends it. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    this.#polling ??= setInterval(() => this.isTold || this.#tell(null, true), POLL_MS);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      clearInterval(this.#polling);
      this.#polling = undefined;
    };
  }

  /** Waits until a media may have been processed, or until `signal` says that the wait is over. */
  processed(id: string, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        stop();
        signal?.removeEventListener('abort', end);
        resolve();
      };
      const stop = this.listen((told) => {
        if (told === null || told === id) end();
      });
      if (signal?.aborted) end();
      else signal?.addEventListener('abort', end);
    });
  }

  /**
   * Asks the service to tell, while the page is seen: a browser has few connections to a service for all its tabs. Returns what ends it.
   */
  start(): () => void {
    let following: AbortController | undefined;
    const change = (): void => {
      following?.abort();
      following = document.hidden ? undefined : new AbortController();
      if (following) void this.#follow(following.signal);
    };
    change();
    document.addEventListener('visibilitychange', change);
    return () => {
      document.removeEventListener('visibilitychange', change);
      following?.abort();
    };
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { token } = session;
    let pause = PAUSE_MS.first;
    while (!signal.aborted && session.token === token) {
      try {
        await this.#read(signal, () => (pause = PAUSE_MS.first));
      } catch {
        // Whatever it is: those who listen are told by the clock, and it is tried again.
      }
      if (signal.aborted) return;
      // Many pages that have lost the same service do not come back at the same moment.
      await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random())));
      pause = Math.min(pause * 2, PAUSE_MS.most);
    }
  }

  /** Reads one stream to its end. */
  async #read(signal: AbortSignal, begun: () => void): Promise<void> {
    const silent = new AbortController();
    let silence = setTimeout(() => silent.abort(), SILENCE_MS);
    try {
      const ended = AbortSignal.any([signal, silent.signal]);
      const { body } = await request('GET', '/api/events', { signal: ended });
      if (!body) return;
      const reader = body.pipeThrough(new TextDecoderStream()).getReader();
      let received = '';
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(silence);
        silence = setTimeout(() => silent.abort(), SILENCE_MS);
        const events = (received + value).split('\n\n');
        received = events.pop() ?? '';
        for (const event of events) {
          if (!event.startsWith('event:')) continue;
          // The first event proves that the stream is not held back.
          this.isTold = true;
          begun();
          this.#tell(parse(event));
        }
      }
    } finally {
      clearTimeout(silence);
      this.isTold = false;
    }
  }

  #tell(id: string | null, isClock = false): void {
    for (const listener of [...this.#listeners]) listener(id, isClock);
  }
}

/** The media that an event names; `null` if it says that any may have changed. */
function parse(event: string): string | null {
  const data = /^data: ?(.*)$/m.exec(event)?.[1] ?? '{}';
  return (JSON.parse(data) as { id?: string }).id ?? null;
}

export const live = new Live();
