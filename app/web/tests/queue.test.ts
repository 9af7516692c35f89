import { beforeEach, expect, test, vi } from 'vitest';
import { ApiError } from '../src/lib/api';
import { session } from '../src/lib/session.svelte';
import type { Kept } from '../src/lib/upload/kept';

type Events = Parameters<typeof import('../src/lib/upload/send').send>[2];
const started: { file: File; events: Events; stop: ReturnType<typeof vi.fn> }[] = [];

vi.mock('../src/lib/upload/send', () => ({
  send: (_: string, file: File, events: Events) => {
    const stop = vi.fn(() => Promise.resolve());
    started.push({ file, events, stop });
    return { stop };
  },
}));

const kept = new Map<string, Kept>();
vi.mock('../src/lib/upload/kept', () => ({
  keep: async (file: Kept) => void kept.set(file.id, file),
  forget: async (id: string) => void kept.delete(id),
  listKept: async () => [...kept.values()],
}));

const { queue } = await import('../src/lib/upload/queue.svelte');

const files = (count: number): File[] => Array.from({ length: count }, (_, index) => new File(['content'], `${index}.jpg`));
const states = (): string[] => queue.items.map((item) => item.state);

beforeEach(async () => {
  while (queue.items[0]) await queue.cancel(queue.items[0]);
  started.length = 0;
  kept.clear();
  session.start({ token: 'token', expires_at: '2999-01-01T00:00:00Z' });
  vi.stubGlobal('fetch', async (path: string) =>
    Response.json({ id: path.split('/').pop(), status: 'ready', deleted_at: null, tags: [] }),
  );
});

test('three are sent at once, and the next one when one has arrived', async () => {
  queue.add(files(5));
  expect(states()).toEqual(['sending', 'sending', 'sending', 'waiting', 'waiting']);
  started[1]?.events.onSuccess('01B', '01A');
  await vi.waitFor(() => expect(states()).toEqual(['sending', 'done', 'sending', 'sending', 'waiting']));
  expect(kept.size).toBe(4);
});

test('a media that is older than the upload is a duplicate', async () => {
  queue.add(files(1));
  started[0]?.events.onSuccess('01A', '01B');
  await vi.waitFor(() => expect(states()).toEqual(['duplicate']));
});

test('a refused file makes room and is not sent again after a reload; a lost one is', async () => {
  queue.add(files(4));
  started[0]?.events.onError(new ApiError(415, 'unsupported_type', ''));
  started[1]?.events.onError(new ApiError(0, 'offline', ''));
  expect(states()).toEqual(['failed', 'failed', 'sending', 'sending']);
  await vi.waitFor(() => expect([...kept.values()].map(({ file }) => file.name)).toEqual(['1.jpg', '2.jpg', '3.jpg']));
  dispatchEvent(new Event('online'));
  expect(states()).toEqual(['failed', 'sending', 'sending', 'sending']);
});

test('an ended session stops nothing for good', () => {
  queue.add(files(1));
  session.expire();
  started[0]?.events.onError(new ApiError(401, 'unauthorized', ''));
  expect([states(), session.token, session.expired]).toEqual([['waiting'], null, true]);
  session.start({ token: 'next', expires_at: '2999-01-01T00:00:00Z' });
  queue.start();
  expect(states()).toEqual(['sending']);
});

test('a late refusal does not end the session that began meanwhile', () => {
  queue.add(files(1));
  started[0]?.events.onError(new ApiError(401, 'unauthorized', ''));
  expect([states(), session.token, started.length]).toEqual([['sending'], 'token', 2]);
});

test('a cancelled upload is discarded and forgotten', async () => {
  queue.add(files(4));
  const first = queue.items[0];
  if (first) await queue.cancel(first);
  expect(started[0]?.stop).toHaveBeenCalledWith(true);
  expect(states()).toEqual(['sending', 'sending', 'sending']);
  expect(kept.size).toBe(3);
});

test('what has arrived of a file that is taken off the list or refused is deleted, also from before a reload', async () => {
  const deleted: string[] = [];
  vi.stubGlobal('fetch', async (path: string, { method }: RequestInit) => {
    if (method === 'DELETE') deleted.push(path);
    return new Response(null, { status: 204 });
  });
  queue.add(files(5));
  const [lost, refused, , , waiting] = queue.items;
  const begun = (id: string): object => ({ image_id: id, part_size: 1, part_count: 1, expires_at: '2999-01-01T00:00:00Z' });
  const open = Object.fromEntries([lost, refused, waiting].map((item, place) => [item?.id, begun(`U${place}`)]));
  localStorage.setItem('store-uploads', JSON.stringify(open));
  if (waiting) await queue.cancel(waiting);
  started[1]?.events.onError(new ApiError(413, 'too_large', ''));
  started[0]?.events.onError(new ApiError(0, 'offline', ''));
  await vi.waitFor(() => expect(deleted).toEqual(['U2', 'U1'].map((id) => `/api/image/v1/upload/${id}`)));
  queue.clear();
  await vi.waitFor(() => expect(deleted.at(-1)).toBe('/api/image/v1/upload/U0'));
  expect(localStorage.getItem('store-uploads')).toBe('{}');
});

test('an empty file is refused before it is sent', () => {
  queue.add([new File([], 'empty.jpg')]);
  expect(states()).toEqual(['failed']);
  expect(started).toHaveLength(0);
});

test('what other programs share is uploaded only when the user says so', async () => {
  const [one, two, three] = files(3) as [File, File, File];
  for (const file of [one, two]) kept.set(file.name, { id: file.name, file, isOffered: true });
  kept.set(three.name, { id: three.name, file: three });
  await queue.restore();
  expect(started.map(({ file }) => file)).toEqual([three]);
  expect(queue.offered.map(({ file }) => file)).toEqual([one, two]);
  queue.postpone();
  await queue.restore();
  expect([queue.offered, kept.size]).toEqual([[], 3]);

  kept.set('4', { id: '4', file: one, isOffered: true });
  await queue.restore();
  queue.accept();
  expect(started.map(({ file }) => file)).toEqual([three, one]);
  expect([queue.offered, kept.get('4')]).toEqual([[], { id: '4', file: one }]);

  kept.set('5', { id: '5', file: two, isOffered: true });
  await queue.restore();
  await queue.discard();
  expect([queue.offered, kept.has('5'), started.length]).toEqual([[], false, 2]);
});
