import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Item, Month } from '../src/lib/api';
import { parseFilter } from '../src/lib/gallery/filter';
import { Gallery } from '../src/lib/gallery/gallery.svelte';
import { countAll, monthOf, placeOf, recount, starts } from '../src/lib/gallery/months';
import { Paced } from '../src/lib/gallery/paced';
import { stretchesOf } from '../src/lib/gallery/stretch';

const filter = (query = ''): ReturnType<typeof parseFilter> => parseFilter(new URLSearchParams(query), false);

function item(id: number): Item {
  // A day apart: ten are in the first month.
  const listed_at = new Date(2026, 9, 10 - id, 12).toISOString();
  return { id: idAt(listed_at), version: 1, status: 'ready', name: `item ${id}`, listed_at, tags: [], deleted_at: null, ocr_text: 'x'.repeat(1000), fragment: null } as unknown as Item;
}

/** An id, which begins with its time. */
function idAt(time: string): string {
  const digits = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
  let rest = Date.parse(time);
  const letters = Array.from({ length: 10 }, () => {
    const letter = digits[rest % 32];
    rest = Math.floor(rest / 32);
    return letter;
  });
  return letters.reverse().join('') + '0'.repeat(16);
}

/** Those between the times that a request names. */
function within(items: Item[], { searchParams }: URL): Item[] {
  const time = (name: string, other: number): number => Date.parse(searchParams.get(name) ?? '') || other;
  return items.filter(({ listed_at }) => Date.parse(listed_at) >= time('from', 0) && Date.parse(listed_at) < time('to', Infinity));
}

function monthsOf(count: number): Month[] {
  const months: Month[] = [];
  for (let id = 0; id < count; id++) {
    const month = monthOf(item(id).listed_at);
    if (months.at(-1)?.month !== month) months.push({ month, count: 0, before: String(id) });
    (months.at(-1) as Month).count++;
  }
  return months;
}

/** A service with so many items. Returns the queries that it gets. */
function serve(count: number, pageSize: number): URL[] {
  const asked: URL[] = [];
  vi.stubGlobal('fetch', async (path: string) => {
    const url = new URL(path, 'http://localhost');
    asked.push(url);
    if (url.pathname.endsWith('/facets')) return Response.json({ types: [{ value: 'image', count }], tags: [], uploaders: [] });
    if (url.pathname.endsWith('/timeline')) return Response.json({ months: monthsOf(count) });
    const after = url.searchParams.get('after');
    const before = Number(url.searchParams.get('before') ?? 0) + Number(url.searchParams.get('skip') ?? 0);
    const start = after === null ? before : Math.max(Number(after) - pageSize, 0);
    const end = after === null ? Math.min(start + pageSize, count) : Number(after);
    const items = Array.from({ length: end - start }, (_, place) => item(start + place));
    return Response.json({ items, next: end < count ? String(end) : null, previous: start > 0 ? String(start) : null, nearly: false });
  });
  return asked;
}

// What begins at a random moment begins at once.
beforeEach(() => void vi.spyOn(Math, 'random').mockReturnValue(0));

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

test('pages follow each other to the end, and long texts are not kept', async () => {
  const asked = serve(250, 100);
  const gallery = new Gallery();
  await gallery.load(filter('tag=lake'));
  await Promise.all([gallery.more(), gallery.more()]);
  await gallery.more();
  await gallery.more();
  expect(gallery.items.map(({ name }) => name)).toEqual(Array.from({ length: 250 }, (_, id) => `item ${id}`));
  expect(gallery.total).toBe(250);
  expect(gallery.hasMore).toBe(false);
  expect(gallery.items.every(({ ocr_text }) => ocr_text === null)).toBe(true);
  const lists = asked.filter((url) => url.pathname === '/api/media');
  expect(lists.map((url) => url.searchParams.get('before'))).toEqual([null, '100', '200']);
  expect(lists.every((url) => url.searchParams.get('tag') === 'lake')).toBe(true);
});

test('what is taken out comes back to its place', async () => {
  serve(10, 100);
  const gallery = new Gallery();
  await gallery.load(filter());
  const before = gallery.items.map(({ id }) => id);
  const removed = gallery.remove(new Set([before[0], before[3], before[4], before[9]].map(String)));
  expect([gallery.items.length, gallery.total]).toEqual([6, 6]);
  gallery.insert(removed);
  expect(gallery.items.map(({ id }) => id)).toEqual(before);
  expect(gallery.total).toBe(10);
});

test('what was taken out comes back to its place among what has come since, as far as that is loaded', async () => {
  serve(300, 100);
  const gallery = new Gallery();
  await gallery.load(filter());
  const names = (): string[] => gallery.items.map(({ name }) => name);
  const removed = gallery.remove(new Set([item(1).id, item(99).id]));
  gallery.add({ ...item(-1) });
  gallery.insert(removed);
  expect(names()).toEqual(Array.from({ length: 101 }, (_, place) => `item ${place - 1}`));
  // Another part is shown by now: the newer one comes before it, the older one is not loaded yet.
  const others = gallery.remove(new Set([item(1).id, item(99).id]));
  await gallery.goTo(20);
  await gallery.newer();
  await gallery.goTo(30);
  const [first, shown] = [gallery.first, names()];
  gallery.insert([...others.slice(0, 1), item(250)]);
  expect([gallery.first, names()]).toEqual([first + 1, shown]);
});

test('an upload of the user appears at once, but not in a search; a change only where it is', async () => {
  serve(3, 100);
  const gallery = new Gallery();
  await gallery.load(filter());
  gallery.add({ ...item(-1), name: 'new' });
  expect([gallery.items[0]?.name, gallery.total]).toEqual(['new', 4]);
  gallery.put({ ...item(-1), name: 'renamed' });
  gallery.put({ ...item(-2), name: 'elsewhere' });
  expect([gallery.items.map(({ name }) => name), gallery.total]).toEqual([['renamed', 'item 0', 'item 1', 'item 2'], 4]);
  await gallery.load(filter('q=boat'));
  gallery.add({ ...item(-3), name: 'other' });
  expect(gallery.items.some(({ name }) => name === 'other')).toBe(false);
});

test('what others upload appears at the top, or waits while the list is held', async () => {
  vi.useFakeTimers();
  const asked = serve(150, 100);
  const gallery = new Gallery();
  await gallery.load(filter('tag=lake'));
  const count = (): number => countAll(gallery.months);
  const waiting = (): string[] => gallery.arrived.items.map(({ name }) => name);
  /** So many that are new, and one that the list has. */
  const arrive = (newest: number): void =>
    void vi.stubGlobal('fetch', async (path: string) => {
      const url = new URL(path, 'http://localhost');
      asked.push(url);
      const items = within(Array.from({ length: newest + 100 }, (_, place) => item(place - newest)), url);
      return Response.json({ items, next: null, previous: null, nearly: false });
    });
  const looks = (): URL[] => asked.filter(({ pathname, searchParams: query }) => pathname === '/api/media' && query.has('from') && !query.has('to'));

  arrive(1);
  await gallery.refresh(item(-1).id);
  await vi.waitFor(() => expect(gallery.items.slice(0, 2).map(({ name }) => name)).toEqual(['item -1', 'item 0']));
  expect([gallery.prepended, gallery.first, gallery.total, count(), waiting()]).toEqual([1, 0, 151, 151, []]);
  expect(Object.fromEntries(looks().at(-1)?.searchParams ?? [])).toEqual({ tag: 'lake', limit: '100', from: item(0).listed_at });

  // However often it is told, it asks once in a while.
  gallery.hold(true);
  arrive(3);
  const before = looks().length;
  for (const number of [2, 3, 4]) await gallery.refresh(item(-number).id);
  expect(looks()).toHaveLength(before);
  await vi.advanceTimersByTimeAsync(3000);
  expect(looks()).toHaveLength(before + 1);
  expect([waiting(), gallery.items[0]?.name, gallery.total]).toEqual([['item -3', 'item -2'], 'item -1', 151]);
  gallery.hold(false);
  expect([waiting(), gallery.items[0]?.name, gallery.total]).toEqual([[], 'item -3', 153]);

  // Without a word of the service it asks rarely.
  await vi.advanceTimersByTimeAsync(10_000);
  const told = looks().length;
  for (let time = 0; time < 60_000; time += 2000) {
    await gallery.refresh(null, true);
    await vi.advanceTimersByTimeAsync(2000);
  }
  expect(looks().length - told).toBe(3);

  // What the user takes out while the question is on its way is not in the answer to the next one.
  arrive(4);
  await vi.advanceTimersByTimeAsync(3000);
  const looking = gallery.refresh(null);
  gallery.remove(new Set([item(-2).id]));
  await looking;
  await vi.advanceTimersByTimeAsync(0);
  expect(gallery.items[0]?.name).toBe('item -3');
  vi.useRealTimers();
});

test('more than a page of new media, or another part of the list, begins the list anew', async () => {
  serve(150, 100);
  const gallery = new Gallery();
  await gallery.load(filter());
  await gallery.goTo(120);
  gallery.hold(true);
  // Nothing that the list knows is newer than its first, so what is told is what a look finds.
  serve(160, 100);
  await gallery.refresh(item(-1).id);
  await vi.waitFor(() => expect(gallery.arrived.items.length).toBe(100));
  expect([gallery.arrived.isAll, gallery.first]).toEqual([false, 120]);
  await gallery.showArrived();
  expect([gallery.first, gallery.items[0]?.name, gallery.total, gallery.arrived.items]).toEqual([0, 'item 0', 160, []]);
});

test('any place is reached at once, and the list goes on from there in both directions', async () => {
  const asked = serve(1000, 100);
  const gallery = new Gallery();
  await gallery.load(filter('tag=lake'));
  expect(countAll(gallery.months)).toBe(1000);
  expect(asked.filter(({ pathname }) => pathname.endsWith('/timeline')).map(({ searchParams }) => searchParams.get('zone'))).toEqual([
    Intl.DateTimeFormat().resolvedOptions().timeZone,
  ]);
  asked.length = 0;
  await gallery.goTo(555);
  expect([gallery.first, gallery.items[0]?.name, gallery.hasNewer, gallery.hasMore]).toEqual([555, 'item 555', true, true]);
  // One page, by the start of its month and the place in it.
  const { number, skip } = placeOf(gallery.months, 555) ?? { number: 0, skip: 0 };
  expect(asked.map(({ searchParams }) => [searchParams.get('before'), searchParams.get('skip'), searchParams.get('tag')])).toEqual([
    [String(starts(gallery.months)[number]), String(skip), 'lake'],
  ]);
  await gallery.more();
  await gallery.newer();
  expect([gallery.first, gallery.prepended, gallery.items.length]).toEqual([455, 100, 300]);
  expect(gallery.items.map(({ name }) => name)).toEqual(Array.from({ length: 300 }, (_, place) => `item ${455 + place}`));
  expect(gallery.items.filter(({ isSeam }) => isSeam).map(({ name }) => name)).toEqual(['item 555']);
  while (gallery.hasNewer) await gallery.newer();
  expect([gallery.first, gallery.items[0]?.name]).toEqual([0, 'item 0']);
  await gallery.goTo(999);
  expect([gallery.first, gallery.items.length, gallery.hasMore]).toEqual([999, 1, false]);
  await gallery.goTo(0);
  expect([gallery.first, gallery.items[0]?.name, gallery.hasNewer]).toEqual([0, 'item 0', false]);
  await gallery.goTo(1000);
  expect(gallery.first).toBe(0);
  // Most were deleted meanwhile.
  serve(10, 100);
  await gallery.goTo(700);
  expect([gallery.first, gallery.items.length, countAll(gallery.months), gallery.state]).toEqual([0, 10, 10, 'ready']);
});

test('what is added and deleted is counted in its month', async () => {
  serve(100, 100);
  const gallery = new Gallery();
  await gallery.load(filter());
  const newest = (): unknown => [gallery.months[0]?.month, gallery.months[0]?.count, gallery.total];
  expect(newest()).toEqual(['2026-10', 10, 100]);
  const removed = gallery.remove(new Set([item(0).id, item(50).id]));
  expect(newest()).toEqual(['2026-10', 9, 98]);
  gallery.insert(removed);
  expect(newest()).toEqual(['2026-10', 10, 100]);
  gallery.add({ ...item(0), id: '9500', listed_at: new Date(2026, 10, 1, 12).toISOString() });
  expect(newest()).toEqual(['2026-11', 1, 101]);
  expect(recount([], [], 1)).toEqual([]);
});

test('a failure is told, and the next attempt goes on where it stopped', async () => {
  const gallery = new Gallery();
  vi.stubGlobal('fetch', () => Promise.reject(new TypeError('no network')));
  await gallery.load(filter());
  expect([gallery.state, (gallery.error as { code: string }).code]).toEqual(['failed', 'offline']);
  serve(5, 100);
  gallery.retry();
  await vi.waitFor(() => expect(gallery.items).toHaveLength(5));
  expect(gallery.state).toBe('ready');
});

test('what waits to be processed is asked for when it is told, and what is gone leaves', async () => {
  const served = new Map([['A', 'pending'], ['B', 'pending'], ['C', 'ready']]);
  const asked: string[] = [];
  vi.stubGlobal('fetch', async (path: string) => {
    const { pathname } = new URL(path, 'http://localhost');
    const id = pathname.split('/')[3] ?? '';
    if (pathname.endsWith('/facets')) return Response.json({ types: [{ value: 'image', count: 3 }], tags: [], uploaders: [] });
    if (pathname.endsWith('/timeline')) return Response.json({ months: [] });
    const one = (id: string): unknown => ({ id, status: served.get(id), tags: [], deleted_at: null });
    if (!id) return Response.json({ items: ['C', 'B', 'A'].map(one), next: null, nearly: false });
    asked.push(id);
    if (served.has(id)) return Response.json(one(id));
    return Response.json({ error: { code: 'not_found', message: '' } }, { status: 404 });
  });
  const gallery = new Gallery();
  const states = (): string[] => gallery.items.map((item) => `${item.id} ${item.status}`);
  await gallery.load(filter());
  await vi.waitFor(() => expect(asked).toEqual(['B', 'A']));
  await gallery.refresh('X');
  served.set('A', 'ready');
  await gallery.refresh('A');
  // One that is not here may belong here by now.
  expect([asked.slice(2), states()]).toEqual([['X', 'A'], ['C ready', 'B pending', 'A ready']]);
  served.delete('B');
  await gallery.refresh(null);
  expect([asked.slice(4), states(), gallery.total]).toEqual([['B'], ['C ready', 'A ready'], 2]);
});

/** A service whose media others change. Returns the paths and queries that it gets. */
function serveChanging(media: Map<string, Item>): URL[] {
  const asked: URL[] = [];
  vi.stubGlobal('fetch', async (path: string) => {
    const url = new URL(path, 'http://localhost');
    asked.push(url);
    const all = [...media.values()].sort((one, other) => Date.parse(other.listed_at) - Date.parse(one.listed_at));
    const tag = url.searchParams.get('tag');
    const listed = all.filter((one) => one.deleted_at === null && (tag === null || one.tags.includes(tag)));
    if (url.pathname.endsWith('/facets')) return Response.json({ types: [{ value: 'image', count: listed.length }], tags: [], uploaders: [] });
    if (url.pathname.endsWith('/timeline')) return Response.json({ months: monthsOf(listed.length) });
    if (url.pathname !== '/api/media') {
      const found = media.get(url.pathname.split('/').at(-1) ?? '');
      return found ? Response.json(found) : Response.json({ error: { code: 'not_found', message: '' } }, { status: 404 });
    }
    const start = Number(url.searchParams.get('before') ?? 0);
    const items = within(listed, url);
    const next = start + 100 < items.length ? String(start + 100) : null;
    return Response.json({ items: items.slice(start, start + 100), next, previous: null, nearly: false });
  });
  return asked;
}

/** So many media, as a service has them. `edit` changes one as another user does; without a change, it deletes it for ever. */
function library(count: number): { media: Map<string, Item>; edit: (number: number, change?: Partial<Item>) => string } {
  const items = Array.from({ length: count }, (_, number) => ({ ...item(number), tags: ['lake'] }));
  const media = new Map(items.map((one) => [one.id, one]));
  const edit = (number: number, change?: Partial<Item>): string => {
    const { id } = item(number);
    const old = media.get(id);
    if (!change || !old) media.delete(id);
    else media.set(id, { ...old, ...change, version: old.version + 1 });
    return id;
  };
  return { media, edit };
}

test('what others edit, delete and restore is shown where it is', async () => {
  vi.useFakeTimers();
  const { media, edit } = library(40);
  const asked = serveChanging(media);
  const gallery = new Gallery();
  await gallery.load(filter('tag=lake'));
  const names = (): string[] => gallery.items.map(({ name }) => name);
  const told = async (...ids: string[]): Promise<void> => {
    for (const id of ids) await gallery.refresh(id);
    // Then it is counted, too.
    await vi.advanceTimersByTimeAsync(21_000);
  };
  await told(edit(3, { name: 'theirs' }));
  expect([names()[3], names().length, gallery.total]).toEqual(['theirs', 40, 40]);
  const before = asked.length;
  await told(edit(1, { deleted_at: '2026-10-11T00:00:00Z' }), edit(2, { tags: ['sauna'] }), edit(5));
  expect([names().slice(0, 5), gallery.total]).toEqual([['item 0', 'theirs', 'item 4', 'item 6', 'item 7'], 37]);
  // The first is asked for at once, the others together.
  const lists = asked.slice(before).filter(({ pathname }) => pathname === '/api/media');
  expect(lists.filter(({ searchParams }) => searchParams.has('to'))).toHaveLength(2);
  await told(edit(1, { deleted_at: null }), edit(2, { tags: ['lake'] }));
  expect([names().slice(0, 4), gallery.total, gallery.items[1]?.tags]).toEqual([['item 0', 'item 1', 'item 2', 'theirs'], 39, ['lake']]);
  vi.useRealTimers();
});

test('after a while without a word all that is loaded is compared, and by the clock what is seen', async () => {
  vi.useFakeTimers();
  const { media, edit } = library(250);
  serveChanging(media);
  const gallery = new Gallery();
  await gallery.load(filter());
  await gallery.more();
  await gallery.more();
  edit(10, { name: 'near' });
  edit(240, { name: 'far' });
  edit(200);
  await gallery.refresh(null, true);
  await vi.advanceTimersByTimeAsync(1000);
  const names = (): (string | undefined)[] => [gallery.items[10]?.name, gallery.items.at(-10)?.name];
  expect([names(), gallery.items.length]).toEqual([['near', 'item 240'], 250]);
  await gallery.refresh(null);
  await vi.advanceTimersByTimeAsync(1000);
  expect([names(), gallery.items.length]).toEqual([['near', 'far'], 249]);
  // What is counted here and by the service is put right by the next count.
  await vi.advanceTimersByTimeAsync(20_000);
  expect([names(), gallery.items.length, gallery.total]).toEqual([['near', 'far'], 249, 249]);
  vi.useRealTimers();
});

test('an answer that the user has overtaken is asked for again', async () => {
  vi.useFakeTimers();
  const { media, edit } = library(10);
  const asked = serveChanging(media);
  const gallery = new Gallery();
  await gallery.load(filter());
  const id = edit(4, { name: 'theirs' });
  void gallery.refresh(id);
  while (!asked.some(({ searchParams }) => searchParams.has('to'))) await Promise.resolve();
  gallery.remove(new Set([edit(7)]));
  await vi.advanceTimersByTimeAsync(0);
  expect(gallery.items[4]?.name).toBe('item 4');
  await vi.advanceTimersByTimeAsync(1000);
  expect([gallery.items[4]?.name, gallery.items.length]).toEqual(['theirs', 9]);
  vi.useRealTimers();
});

test('a list of some days shows no change of other days', async () => {
  vi.useFakeTimers();
  const { media, edit } = library(40);
  const asked = serveChanging(media);
  const gallery = new Gallery();
  // Those of the numbers 9 to 5.
  await gallery.load(filter('from=2026-10-01&to=2026-10-05'));
  const names = (): string[] => gallery.items.map(({ name }) => name);
  expect(names()).toEqual(['item 5', 'item 6', 'item 7', 'item 8', 'item 9']);
  for (const id of [edit(2, { name: 'after' }), edit(7, { name: 'theirs' }), edit(20, { name: 'before' })]) await gallery.refresh(id);
  await vi.advanceTimersByTimeAsync(10_000);
  expect([names(), gallery.total]).toEqual([['item 5', 'item 6', 'theirs', 'item 8', 'item 9'], 40]);
  expect(asked.some(({ searchParams }) => searchParams.has('to'))).toBe(true);
  vi.useRealTimers();
});

test('outside the part that is loaded, changes are neither listed nor counted here', async () => {
  vi.useFakeTimers();
  const { media, edit } = library(250);
  const asked = serveChanging(media);
  const gallery = new Gallery();
  await gallery.load(filter());
  for (let time = 0; time < 3; time++) {
    await gallery.refresh(edit(200, { name: `far ${time}` }));
    await vi.advanceTimersByTimeAsync(1000);
  }
  expect([gallery.items.length, gallery.first, gallery.total]).toEqual([100, 0, 250]);
  expect(asked.some(({ searchParams }) => searchParams.has('to'))).toBe(false);
  vi.useRealTimers();
});

test('one that is listed anew, because its file was replaced, goes to the top', async () => {
  vi.useFakeTimers();
  const { media, edit } = library(5);
  serveChanging(media);
  const gallery = new Gallery();
  await gallery.load(filter());
  await gallery.refresh(edit(3, { listed_at: item(-1).listed_at }));
  await vi.advanceTimersByTimeAsync(5000);
  expect(gallery.items.map(({ name }) => name)).toEqual(['item 3', 'item 0', 'item 1', 'item 2', 'item 4']);
  vi.useRealTimers();
});

test('a change is asked for again after a failure, and many at once together', async () => {
  vi.useFakeTimers();
  const { media, edit } = library(95);
  const asked = serveChanging(media);
  const gallery = new Gallery();
  await gallery.load(filter());
  const deleted = Array.from({ length: 80 }, (_, number) => edit(number + 5, { deleted_at: '2026-10-11T00:00:00Z' }));
  await gallery.refresh(null);
  await vi.advanceTimersByTimeAsync(1000);
  expect(gallery.items).toHaveLength(15);
  const { fetch } = globalThis;
  vi.stubGlobal('fetch', () => Promise.reject(new TypeError('no network')));
  for (const number of deleted.keys()) await gallery.refresh(edit(number + 5, { deleted_at: null }));
  await vi.advanceTimersByTimeAsync(1000);
  vi.stubGlobal('fetch', fetch);
  asked.length = 0;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(gallery.items.map(({ name }) => name)).toEqual(Array.from({ length: 95 }, (_, number) => `item ${number}`));
  expect(asked.filter(({ pathname }) => pathname === '/api/media' || pathname.length > 30).length).toBeLessThan(6);
  vi.useRealTimers();
});

test('a check begins its pause when it has ended', async () => {
  vi.useFakeTimers();
  let [running, most, runs] = [0, 0, 0];
  const paced = new Paced(async () => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 5000));
    running--;
    return ++runs > 3;
  }, 1000);
  paced.ask();
  await vi.advanceTimersByTimeAsync(2000);
  paced.ask();
  await vi.advanceTimersByTimeAsync(60_000);
  expect([runs, most]).toEqual([4, 1]);
  vi.useRealTimers();
});

test('parts of a list that follow each other leave no gap', () => {
  const items = Array.from({ length: 200 }, (_, number) => item(number));
  const stretches = stretchesOf(items, [...items.keys()]);
  expect(stretches.map(({ newest, oldest }) => [newest, oldest])).toEqual(
    [[0, 89], [89, 179], [179, 199]].map((places) => places.map((place) => Date.parse(item(place).listed_at))),
  );
});

test('of a long list only a part is kept, and the way back is the same', async () => {
  serve(10_000, 100);
  const gallery = new Gallery();
  await gallery.load(filter());
  const isRight = (): boolean => gallery.items.every(({ name }, place) => name === `item ${gallery.first + place}`);
  let most = 0;
  while (gallery.hasMore) {
    await gallery.more();
    most = Math.max(most, gallery.items.length);
  }
  expect([most, gallery.first + gallery.items.length, isRight()]).toEqual([3000, 10_000, true]);
  while (gallery.hasNewer) {
    await gallery.newer();
    most = Math.max(most, gallery.items.length);
  }
  expect([most, gallery.first, isRight(), gallery.hasMore]).toEqual([3000, 0, true, true]);
  await gallery.more();
  expect(isRight()).toBe(true);
});
