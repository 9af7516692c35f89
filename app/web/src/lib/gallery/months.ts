import type { Month } from '../api';

/** The month of a time in the user's time zone, as the service names it: `2026-01`. */
export function monthOf(time: string): string {
  const date = new Date(time);
  return `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, '0')}`;
}

/** A time in a month, for its name. */
export function timeIn(month: string): string {
  return `${month}-01T00:00`;
}

export function countAll(months: readonly Month[]): number {
  return months.reduce((sum, { count }) => sum + count, 0);
}

/** Where the months begin: how many media come before each. */
export function starts(months: readonly Month[]): number[] {
  let sum = 0;
  return months.map(({ count }) => (sum += count) - count);
}

/** The number of the month that has a media, and the media's place in it; `null` if there are not so many. */
export function placeOf(months: readonly Month[], index: number): { number: number; skip: number } | null {
  let skip = index;
  for (const [number, { count }] of months.entries()) {
    if (skip < count) return { number, skip };
    skip -= count;
  }
  return null;
}

/** The counts after media came (`step` is 1) or went (-1). A month that is new is the newest: others had media before. */
export function recount(months: readonly Month[], times: string[], step: 1 | -1): Month[] {
  const changes = new Map<string, number>();
  for (const time of times) changes.set(monthOf(time), (changes.get(monthOf(time)) ?? 0) + step);
  const changed = months.map((month) => ({ ...month, count: month.count + (changes.get(month.month) ?? 0) }));
  for (const [month, count] of changes) {
    if (count > 0 && (changed[0]?.month ?? '') < month) changed.unshift({ month, count, before: '' });
  }
  return changed;
}
