import { SvelteSet } from 'svelte/reactivity';
import { ApiError, type Facets, type Item, type Media, type Month, type Page, isAbort, media } from '../api';
import { filterQuery, isFiltered, type Filter } from './filter';
import { placeOf, recount } from './months';
import { Paced } from './paced';

const PAGE = 100;

/** Between two questions for what is new. */
const LOOK_MS = 3000;

/** The same while the service does not tell when there is something: many pages would ask for nothing. */
const LOOK_BY_CLOCK_MS = 20_000;

/** Media that one look asks for, at most. */
const MOST_REFRESHED = 50;

export interface Placed extends Item {
  /** Whether it was the first when others were put in front: it starts a row. */
  isSeam?: boolean;
}

/** Media of the list that are newer than what is shown. */
interface Arrived {
  items: readonly Item[];
  /** Whether there are no others. */
  isAll: boolean;
}

const NONE: Arrived = { items: [], isAll: true };

/** The list of media that the filter finds. What is loaded is one part of it, which grows at both ends. */
export class Gallery {
  /** Changed in place, for there may be many; `revision` tells. */
  readonly items: Placed[] = [];
  /** How many media of the list come before the first item. */
  first = $state(0);
  /** How many items were put in front of the others since the part was begun. */
  prepended = $state(0);
  /** How the whole list is spread over time; empty until that is known. */
  months = $state.raw<Month[]>([]);
  /** Grows with each change of the list. */
  revision = $state(0);
  /** Grows when something else than new items at the end changed. */
  reordered = $state(0);
  filter = $state.raw<Filter | null>(null);
  state = $state<'loading' | 'ready' | 'failed'>('loading');
  error = $state.raw<unknown>(null);
  /** Whether the items are only nearly what was searched. */
  nearly = $state(false);
  /** How many there are; `null` if that is not known. */
  total = $state<number | null>(null);
  facets = $state.raw<Facets>({ types: [], tags: [], uploaders: [] });
  /** What waits to be shown. */
  arrived = $state.raw<Arrived>(NONE);
  /** When the newest media that was shown was listed. */
  #newest: string | null = null;
  /** The oldest that was loaded: also after it was taken out, the next page begins behind it. */
  #oldest: Item | undefined;
  #isHeld = false;
  #lookedAt = 0;
  #looks = new Paced(() => this.#look(), LOOK_MS);
  #next = $state<string | null>(null);
  #previous = $state<string | null>(null);
  #loading: AbortController | null = null;
  #counting: AbortController | null = null;
  #isRefreshing = false;

  get hasMore(): boolean {
    return this.#next !== null;
  }

  get hasNewer(): boolean {
    return this.#previous !== null;
  }

  /** Starts anew with a filter. What is shown stays until the answer is there. */
  async load(filter: Filter): Promise<void> {
    this.#counting?.abort();
    const counting = (this.#counting = new AbortController());
    this.filter = filter;
    this.months = [];
    const page = await this.#begin({}, 0);
    if (!page || this.filter !== filter) return;
    this.nearly = page.nearly;
    const months = filterQuery(filter);
    months.set('zone', Intl.DateTimeFormat().resolvedOptions().timeZone);
    try {
      const counts = [media.facets(filterQuery(filter), counting.signal), media.timeline(months, counting.signal)] as const;
      const [facets, timeline] = await Promise.all(counts);
      this.facets = facets;
      this.months = timeline.months;
      this.total = page.nearly ? page.items.length : facets.types.reduce((sum, type) => sum + type.count, 0);
    } catch (error) {
      if (!isAbort(error)) this.#failed(error);
    }
  }

  /** Goes to a place of the whole list, without what is between. */
  async goTo(index: number): Promise<void> {
    const place = placeOf(this.months, index);
    if (!place) return;
    const { number, skip } = place;
    const before = number > 0 ? this.months[number]?.before : undefined;
    const page = await this.#begin({ ...(before ? { before } : {}), ...(skip > 0 ? { skip: String(skip) } : {}) }, index);
    // Others have deleted what the counts still have.
    if (page?.items.length === 0 && this.filter) await this.load(this.filter);
  }

  /** Loads the next page, if there is one and none is being loaded. */
  async more(): Promise<void> {
    if (this.#next === null || this.state !== 'ready') return;
    await this.#page({ before: this.#next }, (page) => {
      for (const item of page.items) this.items.push(slim(item));
      this.#next = page.next;
      this.#oldest = page.items.at(-1);
      this.revision++;
    });
  }

  /** Loads the page before the first item, if there is one and none is being loaded. */
  async newer(): Promise<void> {
    if (this.#previous === null || this.state !== 'ready') return;
    await this.#page({ after: this.#previous }, (page) => {
      const [edge] = this.items;
      if (edge) edge.isSeam = true;
      this.items.unshift(...page.items.map(slim));
      this.#previous = page.previous;
      // While others add and delete media, the count may be off by some.
      this.first = page.previous === null ? 0 : Math.max(this.first - page.items.length, 1);
      this.prepended += page.items.length;
      if (page.previous === null) this.#reachedTop();
      this.#changed();
    });
  }

  /**
   * While it is held, what is new waits in `arrived`: it would move what the user looks at. Else it is shown as it comes.
   */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    if (!isHeld && this.arrived.items.length > 0) void this.showArrived();
  }

  /** Shows what has arrived, at the top of the list. */
  async showArrived(): Promise<void> {
    const { items, isAll } = this.arrived;
    this.arrived = NONE;
    if (!isAll || this.hasNewer) {
      if (this.filter) await this.load(this.filter);
      return;
    }
    const added = items.filter(({ id }) => this.indexOf(id) < 0);
    this.items.unshift(...added.map(slim));
    this.prepended += added.length;
    this.#reachedTop();
    this.#count(added, 1);
    this.#changed();
  }

  retry(): void {
    if (this.items.length > 0 && this.months.length > 0) {
      // What lacks pages at an end asks for them.
      this.state = 'ready';
    } else if (this.filter) {
      void this.load(this.filter);
    }
  }

  indexOf(id: string): number {
    return this.items.findIndex((item) => item.id === id);
  }

  /** Takes out media that no longer belong here. Returns what `insert` needs to put them back. */
  remove(ids: ReadonlySet<string>): Placed[] {
    const removed = this.items.filter((item) => ids.has(item.id));
    this.#replace(this.items.filter((item) => !ids.has(item.id)));
    this.#count(removed, -1);
    return removed;
  }

  /** Puts media in their places, as far as these are loaded. Both are sorted, the newest first. */
  insert(removed: readonly Placed[]): void {
    const items: Placed[] = [];
    let place = 0;
    for (const item of removed) {
      for (let next = this.items[place]; next && isNewer(next, item); next = this.items[++place]) items.push(next);
      if (items.length === 0 && this.hasNewer) this.first++;
      else if (!this.hasMore || !this.#oldest || !isNewer(this.#oldest, item)) items.push(item);
    }
    this.#replace([...items, ...this.items.slice(place)]);
    this.#count(removed, 1);
  }

  /** Changes the tags of media that are shown. */
  tag(ids: ReadonlySet<string>, change: (tags: string[]) => string[]): void {
    for (const item of this.items) if (ids.has(item.id)) item.tags = change(item.tags);
    this.#changed();
  }

  /** Shows what has changed of a media, if it is here. */
  put(changed: Media): void {
    const index = this.indexOf(changed.id);
    const old = this.items[index];
    if (!old) return;
    this.items[index] = slim({ ...old, ...changed });
    this.#changed();
  }

  /** Shows a media that the user has just uploaded, if it belongs here: before the service lists it. */
  add(added: Media): void {
    if (this.indexOf(added.id) >= 0) this.put(added);
    else if (this.#isHeld || !this.filter || this.filter.trash || isFiltered(this.filter)) this.#looks.ask();
    else {
      this.arrived = { ...this.arrived, items: [{ ...added, fragment: null }, ...this.arrived.items] };
      void this.showArrived();
    }
  }

  /**
   * Asks for a media that was processed, or with `null` for those that wait for it, if they are here; and for those that are new.
   */
  async refresh(id: string | null, isClock = false): Promise<void> {
    const isDue = !isClock || Date.now() - this.#lookedAt >= LOOK_BY_CLOCK_MS;
    if (isDue && (id === null || this.indexOf(id) < 0)) this.#looks.ask();
    if (id === null) await this.#refreshWaiting();
    else if (this.indexOf(id) >= 0) await this.#refreshOne(id);
  }

  async #refreshWaiting(): Promise<void> {
    if (this.#isRefreshing) return;
    this.#isRefreshing = true;
    const waiting = this.items.filter((item) => item.status === 'pending').slice(0, MOST_REFRESHED);
    for (const item of waiting) await this.#refreshOne(item.id);
    this.#isRefreshing = false;
  }

  /** Asks for what was listed since the newest that is known. Returns false if that has to be asked again. */
  async #look(): Promise<boolean> {
    const { filter, reordered } = this;
    // The trash is sorted by when its media were listed, not by when they came there; those that match nearly, by nothing.
    if (!filter || filter.trash || this.nearly || this.state === 'failed' || document.hidden) return true;
    if (this.state === 'loading') return false;
    this.#lookedAt = Date.now();
    const query = filterQuery(filter);
    if (this.#newest !== null) query.set('from', this.#newest);
    query.set('limit', String(PAGE));
    let page: Page;
    try {
      page = await media.list(query);
    } catch {
      // It is asked again when the service tells of something, or by the clock.
      return true;
    }
    // What the user has deleted meanwhile may be in the answer.
    if (this.filter !== filter || this.reordered !== reordered || page.nearly) return this.filter !== filter || page.nearly;
    const items = page.items.filter(({ id }) => this.indexOf(id) < 0);
    this.arrived = { items, isAll: page.next === null };
    if (!this.#isHeld && items.length > 0) await this.showArrived();
    return true;
  }

  async #refreshOne(id: string): Promise<void> {
    try {
      const found = await media.get(id);
      const shown = this.items[this.indexOf(id)];
      if (shown && (found.status !== 'pending' || shown.status !== 'pending')) this.put(found);
    } catch (error) {
      if (error instanceof ApiError && error.code === 'not_found') this.remove(new SvelteSet([id]));
      // Else the next look may succeed.
    }
  }

  /** Begins another part of the list, with the page at `index`. */
  async #begin(where: Record<string, string>, index: number): Promise<Page | null> {
    this.#loading?.abort();
    return this.#page(where, (page) => {
      this.first = index;
      this.prepended = 0;
      this.#next = page.next;
      this.#previous = page.previous;
      this.#oldest = page.items.at(-1);
      this.#replace(page.items.map(slim));
      if (page.previous === null) this.#reachedTop();
    });
  }

  /** Loads a page of the list and puts it in its place. Returns `null` if that failed, or if something else is loaded by now. */
  async #page(where: Record<string, string>, put: (page: Page) => void): Promise<Page | null> {
    if (!this.filter) return null;
    this.state = 'loading';
    const loading = (this.#loading = new AbortController());
    const query = filterQuery(this.filter);
    for (const [name, value] of Object.entries({ limit: String(PAGE), ...where })) query.set(name, value);
    try {
      const page = await media.list(query, loading.signal);
      if (this.#loading !== loading) return null;
      put(page);
      this.state = 'ready';
      // They may have been processed since the service answered.
      void this.#refreshWaiting();
      return page;
    } catch (error) {
      if (!isAbort(error) && this.#loading === loading) this.#failed(error);
      return null;
    }
  }

  #reachedTop(): void {
    this.arrived = NONE;
    this.#newest = this.items[0]?.listed_at ?? null;
  }

  #count(changed: readonly Media[], step: 1 | -1): void {
    if (this.total !== null) this.total += step * changed.length;
    this.months = recount(this.months, changed.map((item) => item.listed_at), step);
  }

  #replace(items: Placed[]): void {
    this.items.length = 0;
    for (const item of items) this.items.push(item);
    this.#changed();
  }

  #changed(): void {
    this.revision++;
    this.reordered++;
  }

  #failed(error: unknown): void {
    this.error = error;
    this.state = 'failed';
  }
}

/** Whether a media comes before another one in the list. */
function isNewer(one: Media, other: Media): boolean {
  const [first, second] = [Date.parse(one.listed_at), Date.parse(other.listed_at)];
  return first > second || (first === second && one.id > other.id);
}

/** The recognised text may be long, and only the viewer shows it. */
function slim(item: Placed): Placed {
  return { ...item, ocr_text: null };
}

export const gallery = new Gallery();
