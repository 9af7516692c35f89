import type { Item, Media, Page } from '../api';
import { type Stretch, timeOf } from './stretch';

/** The items of a page of the list, at most. */
export const PAGE = 100;

/** So many items are kept while the list grows at one end; then the other end gives up what is beyond the second number. */
const KEPT = { most: 3000, after: 1500 };

export interface Placed extends Item {
  /** Whether it was the first when others were put in front: it starts a row. */
  isSeam?: boolean;
  /** Where the list goes on from here, if it was the first or the last of a page: the service's places. */
  newer?: string | null;
  older?: string | null;
}

/** The part of a list that is loaded, the newest first. It grows at both ends. */
export abstract class Loaded {
  /** Changed in place, for there may be many; `revision` tells. */
  readonly items: Placed[] = [];
  /** How many media of the list come before the first item. */
  first = $state(0);
  /** How many items were put in front of the others since the part was begun. */
  prepended = $state(0);
  /** Grows with each change of the list. */
  revision = $state(0);
  /** Grows when something else than new items at the end changed. */
  reordered = $state(0);
  /** Grows when others have changed what is shown, or its order. */
  moved = $state(0);
  /** The first item that the user sees. */
  seen = 0;
  /** Where the next page begins; `null` at the end of the list. */
  protected next = $state<string | null>(null);
  /** Where the page before the first item ends; `null` at the top of the list. */
  protected previous = $state<string | null>(null);
  /** The oldest that was loaded: also after it was taken out, the next page begins behind it. */
  #oldest: Item | undefined;

  get hasMore(): boolean {
    return this.next !== null;
  }

  get hasNewer(): boolean {
    return this.previous !== null;
  }

  indexOf(id: string): number {
    return this.items.findIndex((item) => item.id === id);
  }

  /** The times between which everything is loaded. */
  get range(): Stretch {
    const [first] = this.items;
    const newest = this.hasNewer && first ? timeOf(first) : Infinity;
    return { newest, oldest: this.hasMore && this.#oldest ? timeOf(this.#oldest) : -Infinity };
  }

  /** Whether a media of the list would be in this part. */
  isInside(item: Item): boolean {
    const [first] = this.items;
    if (this.hasNewer && first && isNewer(item, first)) return false;
    return !this.#isBehind(item);
  }

  /** Takes out media that no longer belong here. Returns what `insert` needs to put them back. */
  remove(ids: ReadonlySet<string>): Placed[] {
    const removed = this.items.filter((item) => ids.has(item.id));
    this.#replace(this.items.filter((item) => !ids.has(item.id)));
    this.count(removed, -1);
    return removed;
  }

  /** Puts media in their places, as far as these are loaded. Both are sorted, the newest first. */
  insert(removed: readonly Placed[]): void {
    const missing = removed.filter(({ id }) => this.indexOf(id) < 0);
    const items: Placed[] = [];
    let place = 0;
    for (const item of missing) {
      for (let next = this.items[place]; next && isNewer(next, item); next = this.items[++place]) items.push(next);
      if (items.length === 0 && this.hasNewer) this.first++;
      else if (!this.#isBehind(item)) items.push(item);
    }
    this.#replace([...items, ...this.items.slice(place)]);
    this.count(missing, 1);
    this.#dropFar();
  }

  /** Changes the tags of media that are shown. */
  tag(ids: ReadonlySet<string>, change: (tags: string[]) => string[]): void {
    for (const item of this.items) if (ids.has(item.id)) item.tags = change(item.tags);
    this.changed();
  }

  /** Shows what has changed of a media, if it is here and not newer. */
  put(changed: Media): void {
    const index = this.indexOf(changed.id);
    const old = this.items[index];
    if (!old || changed.version < old.version) return;
    this.items[index] = slim({ ...old, ...changed });
    this.changed();
  }

  /** Shows an item of the list as the service has it now. */
  update(item: Item): void {
    const place = this.indexOf(item.id);
    this.items[place] = slim({ ...this.items[place], ...item });
  }

  /** Begins another part of the list, with the page at `index`. */
  protected begin(page: Page, index: number): void {
    this.first = index;
    this.prepended = 0;
    this.next = page.next;
    this.previous = page.previous;
    this.#oldest = page.items.at(-1);
    this.#replace(placed(page));
  }

  protected append(page: Page): void {
    this.items.push(...placed(page));
    this.next = page.next;
    this.#oldest = page.items.at(-1);
    this.revision++;
    this.#dropFirst();
  }

  protected prepend(page: Page): void {
    const [edge] = this.items;
    if (edge) edge.isSeam = true;
    this.items.unshift(...placed(page));
    this.previous = page.previous;
    // While others add and delete media, the count may be off by some.
    this.first = page.previous === null ? 0 : Math.max(this.first - page.items.length, 1);
    this.prepended += page.items.length;
    this.#dropLast();
    this.changed();
  }

  /** Puts what is new in front, at the top of the list. */
  protected putFirst(added: readonly Item[]): void {
    this.items.unshift(...added.map(slim));
    this.prepended += added.length;
    this.count(added, 1);
    this.#dropLast();
    this.changed();
  }

  /** Is told when media were added to the list or taken from it. */
  protected abstract count(changed: readonly Media[], step: 1 | -1): void;

  /** Something else than new items at the end changed. */
  changed(): void {
    this.revision++;
    this.reordered++;
  }

  /** Whether a media comes behind all that is loaded, where there is more. */
  #isBehind(item: Item): boolean {
    return this.hasMore && this.#oldest !== undefined && isNewer(this.#oldest, item);
  }

  #replace(items: Placed[]): void {
    this.items.length = 0;
    for (const item of items) this.items.push(item);
    this.changed();
  }

  /** Gives up what was scrolled past, by whole pages: it is loaded again when the user comes back. */
  #dropFirst(): void {
    if (this.items.length <= KEPT.most) return;
    const dropped = this.items.findIndex((item, place) => place >= this.items.length - KEPT.after && item.newer);
    if (dropped <= 0) return;
    this.items.splice(0, dropped);
    this.first += dropped;
    this.previous = this.items[0]?.newer ?? null;
    this.changed();
    this.moved++;
  }

  #dropLast(): void {
    if (this.items.length <= KEPT.most) return;
    const last = this.items.findIndex((item, place) => place >= KEPT.after && item.older);
    if (last < 0) return;
    this.items.length = last + 1;
    this.next = this.items[last]?.older ?? null;
    this.#oldest = this.items[last];
  }

  /** Gives up the end that the user is far from. Where both are near, the next page decides. */
  #dropFar(): void {
    if (this.seen < KEPT.after - 2 * PAGE) this.#dropLast();
    else if (this.seen > this.items.length - KEPT.after + 2 * PAGE) this.#dropFirst();
  }
}

/** Whether a media comes before another one in the list. */
function isNewer(one: Media, other: Media): boolean {
  const [first, second] = [Date.parse(one.listed_at), Date.parse(other.listed_at)];
  return first > second || (first === second && one.id > other.id);
}

function placed(page: Page): Placed[] {
  const items: Placed[] = page.items.map(slim);
  const [first, last] = [items[0], items.at(-1)];
  if (first) first.newer = page.previous;
  if (last) last.older = page.next;
  return items;
}

/** The recognised text may be long, and only the viewer shows it. */
function slim(item: Placed): Placed {
  return { ...item, ocr_text: null };
}
