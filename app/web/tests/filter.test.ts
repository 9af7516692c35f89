import { expect, test } from 'vitest';
import { filterAddress, filterQuery, isFiltered, matchingTags, parseFilter } from '../src/lib/gallery/filter';
import { parseRoute } from '../src/lib/router.svelte';

test('a filter survives the address', () => {
  const filter = {
    q: 'sauna & järvi',
    type: 'video' as const,
    tags: ['mökki', 'kesä 2026'],
    uploader: 'anna',
    from: '2026-01-31',
    to: '2026-02-01',
    trash: false,
  };
  expect(parseFilter(new URLSearchParams(filterAddress(filter)), false)).toEqual(filter);
  expect(isFiltered(filter)).toBe(true);
});

test('nonsense in an address is no filter', () => {
  const filter = parseFilter(new URLSearchParams('type=audio&from=yesterday&to=2026-99-99&tag=,,'), false);
  expect(filterAddress(filter)).toBe('');
  expect(isFiltered(filter)).toBe(false);
});

test('the last day is included, in the time zone of the user', () => {
  const query = filterQuery(parseFilter(new URLSearchParams('from=2026-03-28&to=2026-03-29'), true));
  expect(query.get('from')).toBe(new Date(2026, 2, 28).toISOString());
  expect(query.get('to')).toBe(new Date(2026, 2, 30).toISOString());
  expect(query.get('trash')).toBe('true');
});

test('paths are pages, media, or unknown', () => {
  expect(parseRoute('/')).toEqual({ name: 'gallery' });
  expect(parseRoute('/settings')).toEqual({ name: 'settings' });
  expect(parseRoute('/m/01ARZ3NDEKTSV4RRFFQ69G5FAV')).toEqual({ name: 'media', id: '01ARZ3NDEKTSV4RRFFQ69G5FAV' });
  for (const path of ['/m', '/m/', '/m/a/b', '/nothing', '/settings/more', '/media']) {
    expect(parseRoute(path), path).toEqual({ name: 'unknown' });
  }
});

test('a search that has found a tag says which', () => {
  const texts = (tags: string[], q: string): string[] => matchingTags(tags, q).map(({ text, is_match }) => (is_match ? `<${text}>` : text));
  expect(texts(['Mökki', 'lake', 'summer lake'], 'mökk, LAKE!')).toEqual(['<Mökki>', ' · ', '<lake>', ' · ', '<summer lake>']);
  expect(texts(['lake'], '')).toEqual([]);
  expect(texts(['lake'], ' .* ')).toEqual([]);
});
