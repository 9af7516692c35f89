import { type Item, type Media, media } from '../api';
import { filterQuery, type Filter } from './filter';

/** So many items are asked for anew at once: a few may have come between them, and a page of the answer has 100. */
const SIZE = 90;
const PAGE = 100;

/** A part of a list, by the times of its first and its last item in milliseconds. They are infinite where the list ends. */
export interface Stretch {
  newest: number;
  oldest: number;
}

/** The parts of a list that have these places, which are sorted; none is long. Where one follows another, nothing is left between them. */
export function stretchesOf(items: readonly Item[], places: readonly number[]): Stretch[] {
  const stretches: Stretch[] = [];
  let [start, previous] = [-SIZE, -SIZE];
  for (const place of places) {
    const item = items[place];
    if (!item) continue;
    const time = timeOf(item);
    const last = stretches.at(-1);
    if (last && place < start + SIZE) {
      last.oldest = time;
    } else {
      stretches.push({ newest: last && place === previous + 1 ? last.oldest : time, oldest: time });
      start = place;
    }
    previous = place;
  }
  return stretches;
}

/** The same, with the parts where media of these times would be. */
export function stretchesAt(items: readonly Item[], places: readonly number[], times: readonly number[]): Stretch[] {
  if (times.length === 0) return stretchesOf(items, places);
  const [newest, oldest] = [Math.max(...times), Math.min(...times)];
  // What comes before and behind each.
  const beside = times.flatMap((time) => {
    const place = items.findIndex((item) => timeOf(item) <= time);
    return place < 0 ? [items.length - 1] : [place - 1, place];
  });
  const all = [...new Set([...places, ...beside])].sort((one, other) => one - other);
  const stretches = stretchesOf(items, all);
  const [first, last] = [stretches[0], stretches.at(-1)];
  if (!first || !last) return [{ newest, oldest }];
  first.newest = Math.max(first.newest, newest);
  last.oldest = Math.min(last.oldest, oldest);
  return stretches;
}

export function timeOf({ listed_at }: Media): number {
  return Date.parse(listed_at);
}

export function isWithin(item: Media, { newest, oldest }: Stretch): boolean {
  const time = timeOf(item);
  return time <= newest && time >= oldest;
}

/** What a stretch of the list has now. */
export async function listStretch(filter: Filter, stretch: Stretch): Promise<Item[]> {
  const query = filterQuery(filter);
  const time = (name: string, other: number): number => Date.parse(query.get(name) ?? '') || other;
  const from = Math.max(stretch.oldest, time('from', -Infinity));
  // The service knows microseconds, and leaves this end out.
  const to = Math.min(stretch.newest + 1, time('to', Infinity));
  if (from >= to) return [];
  if (from > -Infinity) query.set('from', new Date(from).toISOString());
  if (to < Infinity) query.set('to', new Date(to).toISOString());
  query.set('limit', String(PAGE));
  const items: Item[] = [];
  for (;;) {
    const page = await media.list(query);
    // Where no word is found as it was written, the service answers with words that are nearly the same.
    if (page.nearly) return [];
    items.push(...page.items.filter((item) => isWithin(item, stretch)));
    if (page.next === null) return items;
    query.set('before', page.next);
  }
}

/** When an id was made, in milliseconds: it begins with that. */
export function timeOfId(id: string): number {
  const digits = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
  return [...id.slice(0, 10)].reduce((time, digit) => time * 32 + digits.indexOf(digit), 0);
}
