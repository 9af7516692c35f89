import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { live } from '../src/lib/live.svelte';
import { session } from '../src/lib/session.svelte';

/** The streams that the service was asked for; a test writes to them. */
let streams: { write: (text: string) => void; end: () => void; signal: AbortSignal | null | undefined }[];
let stop: () => void;
let told: (string | null)[];
let unlisten: () => void;

const READY = 'event: media\ndata: {"id":"A","status":"ready"}\n\n';
const LOOK = 'event: look\ndata: {}\n\n';

beforeEach(() => {
  vi.useFakeTimers();
  [streams, told, stop] = [[], [], () => undefined];
  session.start({ token: 'token', expires_at: '2999-01-01T00:00:00Z' });
  vi.stubGlobal('fetch', async (path: string, { signal, headers }: RequestInit) => {
    expect([path, new Headers(headers).get('authorization')]).toEqual(['/api/events', 'Bearer token']);
    const encoder = new TextEncoder();
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        signal?.addEventListener('abort', () => controller.error(signal.reason));
        streams.push({ write: (text) => controller.enqueue(encoder.encode(text)), end: () => controller.close(), signal });
      },
    });
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  });
  unlisten = live.listen((id) => told.push(id));
});

afterEach(() => {
  stop();
  unlisten();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function begin(): Promise<void> {
  stop = live.start();
  await vi.advanceTimersByTimeAsync(0);
  streams[0]?.write(LOOK);
  await vi.waitFor(() => expect(live.isTold).toBe(true));
}

test('what the service streams is told, in whatever parts it arrives, and the clock is silent', async () => {
  await begin();
  for (const part of [': \n\nevent: med', 'ia\ndata: {"id":"A",', '"status":"ready"}\n', `\n${READY.replace('"A"', '"B"')}${LOOK}`]) {
    streams[0]?.write(part);
    await vi.advanceTimersByTimeAsync(0);
  }
  await vi.waitFor(() => expect(told).toEqual([null, 'A', 'B', null]));
  for (let time = 0; time < 60; time += 15) {
    await vi.advanceTimersByTimeAsync(15_000);
    streams[0]?.write(': \n\n');
  }
  expect([told.length, streams.length]).toEqual([4, 1]);
});

test('the end of a media is told, too', async () => {
  await begin();
  streams[0]?.write('event: deleted\ndata: {"id":"A"}\n\n');
  await vi.waitFor(() => expect(told).toEqual([null, 'A']));
});

test('without a stream the clock tells, also while one is held back', async () => {
  stop = live.start();
  await vi.advanceTimersByTimeAsync(6100);
  expect(told).toEqual([null, null, null]);
});

test('a stream that ends or falls silent is asked for again, and begins with a look', async () => {
  await begin();
  streams[0]?.end();
  await vi.waitFor(() => expect(live.isTold).toBe(false));
  await vi.advanceTimersByTimeAsync(1500);
  expect(streams).toHaveLength(2);
  streams[1]?.write(LOOK);
  await vi.waitFor(() => expect(live.isTold).toBe(true));
  await vi.advanceTimersByTimeAsync(41_000);
  expect([live.isTold, streams[1]?.signal?.aborted]).toEqual([false, true]);
  await vi.advanceTimersByTimeAsync(1500);
  expect(streams).toHaveLength(3);
});

test('a refused stream is asked for ever more rarely', async () => {
  let asked = 0;
  vi.stubGlobal('fetch', async () => {
    asked++;
    return Response.json({ error: { code: 'busy', message: 'busy' } }, { status: 429 });
  });
  stop = live.start();
  await vi.advanceTimersByTimeAsync(600_000);
  expect(asked).toBeGreaterThan(8);
  expect(asked).toBeLessThan(40);
});

test('a hidden page has no stream', async () => {
  await begin();
  const hidden = vi.spyOn(document, 'hidden', 'get').mockReturnValue(true);
  document.dispatchEvent(new Event('visibilitychange'));
  expect(streams[0]?.signal?.aborted).toBe(true);
  await vi.advanceTimersByTimeAsync(120_000);
  expect(streams).toHaveLength(1);
  hidden.mockReturnValue(false);
  document.dispatchEvent(new Event('visibilitychange'));
  await vi.advanceTimersByTimeAsync(0);
  expect(streams).toHaveLength(2);
  hidden.mockRestore();
});

test('who waits for one media is not woken by another', async () => {
  await begin();
  const done = vi.fn();
  void live.processed('A').then(done);
  streams[0]?.write(READY.replace('"A"', '"B"'));
  await vi.waitFor(() => expect(told).toContain('B'));
  expect(done).not.toHaveBeenCalled();
  streams[0]?.write(READY);
  await vi.waitFor(() => expect(done).toHaveBeenCalled());
});
