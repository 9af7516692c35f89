import { type Item, media } from '../api';
import { filterQuery, type Filter } from './filter';

/** So many items are asked for anew at once: a few may have come between them, and a page of the answer has 100. */
const SIZE = 90;
const PAGE = 100;

/** A part of a list, by the times of its first and its last item in milliseconds. */
export interface Stretch {
  newest: number;
  oldest: number;
}

/** The parts of a list that have these places, which are sorted; none is long. */
export function stretchesOf(items: readonly Item[], places: readonly number[]): Stretch[] {
  const stretches: Stretch[] = [];
  let start = -SIZE;
  for (const place of places) {
    const item = items[place];
    if (!item) continue;
    const time = Date.parse(item.listed_at);
    const last = stretches.at(-1);
    if (last && place < start + SIZE) last.oldest = time;
    else stretches.push({ newest: time, oldest: time });
    if (place >= start + SIZE) start = place;
  }
  return stretches;
}

export function isWithin({ listed_at }: Item, { newest, oldest }: Stretch): boolean {
  const time = Date.parse(listed_at);
  return time <= newest && time >= oldest;
}

/** What a stretch of the list has now. */
export async function listStretch(filter: Filter, stretch: Stretch): Promise<Item[]> {
  const query = filterQuery(filter);
  query.set('from', new Date(stretch.oldest).toISOString());
  // The service knows microseconds, and leaves this end out.
  query.set('to', new Date(stretch.newest + 1).toISOString());
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
