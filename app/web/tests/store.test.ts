import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Events } from '../src/lib/upload/sending';
import { session } from '../src/lib/session.svelte';

const SIZE = 8 * 1024 * 1024;
const FILE = new File([new Uint8Array(2 * SIZE + 5)], 'clip.mp4', { type: 'video/mp4' });

/** What the service and the store have. */
let parts: Map<number, number>;
let asked: string[];
/** The status of the store's answers to a part; 0: none. */
let answer: (number: number) => number;
let begin: () => Response;
let outcome: object;

class Request {
  upload: { onprogress?: (event: { loaded: number }) => void } = {};
  status = 0;
  onload?: () => void;
  onerror?: () => void;
  onabort?: () => void;
  onloadend?: () => void;
  #url = '';

  open(_: string, url: string): void {
    this.#url = url;
  }

  send(body: Blob): void {
    const number = Number(this.#url.split('/').at(-1));
    asked.push(`store ${number} ${body.size}`);
    this.upload.onprogress?.({ loaded: body.size / 2 });
    this.status = answer(number);
    if (this.status === 200) parts.set(number, body.size);
    queueMicrotask(() => {
      if (this.status === 0) this.onerror?.();
      else this.onload?.();
      this.onloadend?.();
    });
  }

  abort(): void {
    this.onabort?.();
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.resetModules();
  localStorage.clear();
  [parts, asked, answer, outcome] = [new Map(), [], () => 200, { status: 'ready', failure: null, duplicate_of: null }];
  begin = () => Response.json({ image_id: 'A', part_size: SIZE, part_count: 3, expires_at: '2999-01-01T00:00:00Z' });
  session.start({ token: 'token', expires_at: '2999-01-01T00:00:00Z' });
  vi.stubGlobal('XMLHttpRequest', Request);
  vi.stubGlobal('fetch', async (path: string, { method, body }: RequestInit) => {
    const route = path.replace('/api/image/v1/upload/', '');
    asked.push(`${method} ${route}`);
    if (route === 'multipart') return begin();
    if (route.endsWith('/parts') && method === 'POST') {
      const [number] = (JSON.parse(String(body)) as { part_numbers: number[] }).part_numbers;
      return Response.json({ items: [{ part_number: number, upload_url: `https://store/${number}` }], expires_at: '' });
    }
    if (route.endsWith('/parts')) return Response.json({ items: [...parts].map(([part_number, size]) => ({ part_number, size, etag: '' })) });
    return method === 'DELETE' ? new Response(null, { status: 204 }) : Response.json(outcome);
  });
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

interface Heard extends Events {
  onLost: ReturnType<typeof vi.fn<Events['onLost']>>;
  onProgress: ReturnType<typeof vi.fn<Events['onProgress']>>;
  onSuccess: ReturnType<typeof vi.fn<Events['onSuccess']>>;
  onError: ReturnType<typeof vi.fn<Events['onError']>>;
}

async function start(refused = vi.fn()): Promise<{ heard: Heard; sending: { stop: (discard: boolean) => Promise<void> }; isForStore: (file: File) => boolean }> {
  const { sendToStore, isForStore } = await import('../src/lib/upload/store');
  const heard: Heard = { onLost: vi.fn(), onProgress: vi.fn(), onSuccess: vi.fn(), onError: vi.fn() };
  return { heard, sending: sendToStore('1', FILE, heard, refused), isForStore };
}

test('a large file goes to the store in parts, and what was told of is the sum of them', async () => {
  const { heard } = await start();
  await vi.waitFor(() => expect(heard.onSuccess).toHaveBeenCalledWith('A', 'A'));
  expect(asked.filter((one) => one.startsWith('store')).sort()).toEqual([`store 1 ${SIZE}`, `store 2 ${SIZE}`, 'store 3 5']);
  expect(asked.slice(-2)).toEqual(['POST A/complete', 'GET A?wait=0']);
  expect(heard.onProgress.mock.calls[0]).toEqual([SIZE / 2]);
  expect(heard.onProgress.mock.calls.at(-1)).toEqual([FILE.size]);
  expect(localStorage.getItem('store-uploads')).toBe('{}');
});

test('what has arrived is not sent again: after a failure of the store, and after a reload', async () => {
  let failures = 1;
  answer = (number) => (number === 2 && failures-- > 0 ? 503 : number === 3 ? 500 : 200);
  const { heard } = await start();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(heard.onError).toHaveBeenCalledTimes(1);
  expect([...parts.keys()]).toEqual([1, 2]);
  vi.resetModules();
  asked.length = 0;
  answer = () => 200;
  const next = await start();
  await vi.waitFor(() => expect(next.heard.onSuccess).toHaveBeenCalled());
  expect(asked).toEqual(['GET A/parts', 'POST A/parts', 'store 3 5', 'POST A/complete', 'GET A?wait=0']);
  expect(next.heard.onProgress.mock.calls[0]?.[0]).toBeGreaterThan(2 * SIZE);
});

test('a duplicate is told with the media that was there, a refusal with its reason', async () => {
  outcome = { status: 'failed', failure: 'duplicate', duplicate_of: '0' };
  const { heard } = await start();
  await vi.waitFor(() => expect(heard.onSuccess).toHaveBeenCalledWith('0', 'A'));
  outcome = { status: 'failed', failure: 'corrupt_video', duplicate_of: null };
  const other = await start();
  await vi.waitFor(() => expect(other.heard.onError.mock.calls[0]?.[0].code).toBe('corrupt_video'));
});

test('whether it is ready is asked when the service tells, and not waited for by a request', async () => {
  outcome = { status: 'pending', failure: null, duplicate_of: null };
  const { heard } = await start();
  const questions = (): string[] => asked.filter((one) => one.startsWith('GET A?'));
  await vi.waitFor(() => expect(questions()).toEqual(['GET A?wait=0']));
  outcome = { status: 'ready', failure: null, duplicate_of: null };
  await vi.advanceTimersByTimeAsync(2000);
  await vi.waitFor(() => expect(heard.onSuccess).toHaveBeenCalledWith('A', 'A'));
  expect(questions()).toHaveLength(2);
});

test('a file of another type than its name says goes another way, and one that the store forbids, too', async () => {
  outcome = { status: 'failed', failure: 'other_type', duplicate_of: null };
  const refused = vi.fn();
  const { heard } = await start(refused);
  await vi.waitFor(() => expect(refused).toHaveBeenCalledTimes(1));
  answer = () => 403;
  parts.clear();
  const forbidden = vi.fn();
  const other = await start(forbidden);
  await vi.advanceTimersByTimeAsync(60_000);
  expect([forbidden.mock.calls.length, asked.at(-1), localStorage.getItem('store-uploads')]).toEqual([1, 'DELETE A', '{}']);
  expect([heard.onError.mock.calls, other.heard.onError.mock.calls]).toEqual([[], []]);
});

test('what the store has lost is sent anew, once', async () => {
  const { fetch } = globalThis;
  let losses = 1;
  vi.stubGlobal('fetch', async (path: string, init: RequestInit) => {
    if (!path.endsWith('/complete') || losses-- <= 0) return fetch(path, init);
    parts.clear();
    return Response.json({ error: { code: 'not_uploaded', message: '' } }, { status: 409 });
  });
  const { heard } = await start();
  await vi.waitFor(() => expect(heard.onSuccess).toHaveBeenCalledWith('A', 'A'));
  expect(asked.filter((one) => one === 'POST multipart' || one === 'DELETE A')).toEqual(['POST multipart', 'DELETE A', 'POST multipart']);
  expect(asked.filter((one) => one.startsWith('store'))).toHaveLength(6);
});

test('an upload that is not being sent is discarded, too', async () => {
  answer = () => 500;
  const { heard } = await start();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(heard.onError).toHaveBeenCalledTimes(1);
  const { discard } = await import('../src/lib/upload/store');
  await discard('1');
  expect([asked.at(-1), localStorage.getItem('store-uploads')]).toEqual(['DELETE A', '{}']);
  const before = asked.length;
  await discard('1');
  expect(asked).toHaveLength(before);
});

test('a part that is being signed is not sent after the end', async () => {
  const { fetch } = globalThis;
  let sign: () => void = () => undefined;
  const signed = new Promise<void>((resolve) => (sign = resolve));
  vi.stubGlobal('fetch', async (path: string, init: RequestInit) => {
    if (path.endsWith('/parts') && init.method === 'POST') await signed;
    return fetch(path, init);
  });
  const { sending } = await start();
  await vi.waitFor(() => expect(asked).toContain('GET A/parts'));
  await sending.stop(true);
  sign();
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked.filter((one) => one.startsWith('store'))).toEqual([]);
});

test('a store that takes nothing from this page is asked no more, and nothing is left there', async () => {
  answer = () => 0;
  const refused = vi.fn();
  const { heard, isForStore } = await start(refused);
  expect(isForStore(FILE)).toBe(true);
  await vi.advanceTimersByTimeAsync(5000);
  await vi.waitFor(() => expect(refused).toHaveBeenCalledTimes(1));
  expect(asked.filter((one) => one === 'DELETE A')).toHaveLength(1);
  const before = asked.length;
  await vi.advanceTimersByTimeAsync(60_000);
  expect([asked.length, heard.onError.mock.calls, isForStore(FILE)]).toEqual([before, [], false]);
});

test('without a bucket all goes through the service, small files and other types always', async () => {
  begin = () => Response.json({ error: { code: 'no_bucket', message: '' } }, { status: 409 });
  const refused = vi.fn();
  const { isForStore } = await start(refused);
  expect([new File(['a'], 'a.jpg', { type: 'image/jpeg' }), new File([FILE], 'a.heic', { type: 'image/heic' })].map(isForStore)).toEqual([false, false]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(refused).toHaveBeenCalledTimes(1);
  expect(isForStore(FILE)).toBe(false);
});

test('a cancelled upload leaves nothing', async () => {
  answer = () => 503;
  const { heard, sending } = await start();
  await vi.waitFor(() => expect(heard.onLost).toHaveBeenCalled());
  await sending.stop(true);
  expect([asked.at(-1), localStorage.getItem('store-uploads')]).toEqual(['DELETE A', '{}']);
  await vi.advanceTimersByTimeAsync(60_000);
  expect([heard.onError.mock.calls, heard.onSuccess.mock.calls]).toEqual([[], []]);
});
