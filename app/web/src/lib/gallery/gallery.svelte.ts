import { SvelteSet } from 'svelte/reactivity';
import { ApiError, type Facets, type Item, type Media, type Month, type Page, isAbort, media } from '../api';
import { filterQuery, isFiltered, type Filter } from './filter';
import { placeOf, recount } from './months';
import { Paced } from './paced';
import { isWithin, listStretch, type Stretch, stretchesAt, stretchesOf, timeOf, timeOfId } from './stretch';

const PAGE = 100;

/** Between two questions for what is new. */
const LOOK_MS = 3000;

/** The same while the service does not tell when there is something: many pages would ask for nothing. */
export const LOOK_BY_CLOCK_MS = 20_000;

/** So many items are kept while the list grows at one end; then the other end gives up what is beyond the second number. */
const KEPT = { most: 3000, after: 1500 };

/** Media that are asked for one by one, at most. */
const MOST_REFRESHED = 50;

/** Between two questions for what was changed. */
const CHECK_MS = 1000;

/** Within this time such a question begins: all pages are told of a change at the same moment. */
const CHECK_WITHIN_MS = 2000;

/** Between two counts of the list because others have changed it, and the time within which the first one begins. */
const COUNT_MS = 20_000;

/** So many items are asked for anew where the user looks, while the service does not tell what was changed. */
const SEEN = { before: 20, after: 60 };

export interface Placed extends Item {
  /** Whether it was the first when others were put in front: it starts a row. */
  isSeam?: boolean;
  /** Where the list goes on from here, if it was the first or the last of a page: the service's places. */
  newer?: string | null;
  older?: string | null;
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
  /** Media that were changed by others, or perhaps by the user. */
  #told = new SvelteSet<string>();
  /** Which places may have been changed without a word. */
  #unsure: 'none' | 'seen' | 'all' = 'none';
  #checks = new Paced(() => this.#check(), CHECK_MS, CHECK_WITHIN_MS);
  #counts = new Paced(() => this.#countAgain(), COUNT_MS, COUNT_MS);

  /** The first item that the user sees. */
  seen = 0;
  /** Grows when others have changed what is shown, or its order. */
  moved = $state(0);

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
    try {
      await this.#countAll(filter, counting.signal);
      if (page.nearly) this.total = page.items.length;
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
      this.items.push(...placed(page));
      this.#next = page.next;
      this.#oldest = page.items.at(-1);
      this.revision++;
      this.#dropFirst();
    });
  }

  /** Loads the page before the first item, if there is one and none is being loaded. */
  async newer(): Promise<void> {
    if (this.#previous === null || this.state !== 'ready') return;
    await this.#page({ after: this.#previous }, (page) => {
      const [edge] = this.items;
      if (edge) edge.isSeam = true;
      this.items.unshift(...placed(page));
      this.#previous = page.previous;
      // While others add and delete media, the count may be off by some.
      this.first = page.previous === null ? 0 : Math.max(this.first - page.items.length, 1);
      this.prepended += page.items.length;
      if (page.previous === null) this.#reachedTop();
      this.#dropLast();
      this.#changed();
    });
  }

  /** Gives up what was scrolled past, by whole pages: it is loaded again when the user comes back. */
  #dropFirst(): void {
    if (this.items.length <= KEPT.most) return;
    const dropped = this.items.findIndex((item, place) => place >= this.items.length - KEPT.after && item.newer);
    if (dropped <= 0) return;
    this.items.splice(0, dropped);
    this.first += dropped;
    this.#previous = this.items[0]?.newer ?? null;
    this.#changed();
    this.moved++;
  }

  #dropLast(): void {
    if (this.items.length <= KEPT.most) return;
    const last = this.items.findIndex((item, place) => place >= KEPT.after && item.older);
    if (last < 0) return;
    this.items.length = last + 1;
    this.#next = this.items[last]?.older ?? null;
    this.#oldest = this.items[last];
  }

  /** Gives up the end that the user is far from. Where both are near, the next page decides. */
  #dropFar(): void {
    if (this.seen < KEPT.after - 2 * PAGE) this.#dropLast();
    else if (this.seen > this.items.length - KEPT.after + 2 * PAGE) this.#dropFirst();
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
    this.#dropLast();
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
    const missing = removed.filter(({ id }) => this.indexOf(id) < 0);
    const items: Placed[] = [];
    let place = 0;
    for (const item of missing) {
      for (let next = this.items[place]; next && isNewer(next, item); next = this.items[++place]) items.push(next);
      if (items.length === 0 && this.hasNewer) this.first++;
      else if (!this.hasMore || !this.#oldest || !isNewer(this.#oldest, item)) items.push(item);
    }
    this.#replace([...items, ...this.items.slice(place)]);
    this.#count(missing, 1);
    this.#dropFar();
  }

  /** Changes the tags of media that are shown. */
  tag(ids: ReadonlySet<string>, change: (tags: string[]) => string[]): void {
    for (const item of this.items) if (ids.has(item.id)) item.tags = change(item.tags);
    this.#changed();
  }

  /** Shows what has changed of a media, if it is here and not newer. */
  put(changed: Media): void {
    const index = this.indexOf(changed.id);
    const old = this.items[index];
    if (!old || changed.version < old.version) return;
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
   * Asks for a media that was processed, changed or deleted, and for those that are new. With `null`, any may have been: the service has
   * told nothing for a while (all that are here are compared), or does not tell (those that are seen are).
   */
  async refresh(id: string | null, isClock = false): Promise<void> {
    if (id === null) {
      if (!isClock || Date.now() - this.#lookedAt >= LOOK_BY_CLOCK_MS) {
        this.#lookedAt = Date.now();
        this.#looks.ask();
        if (!isClock || this.#unsure === 'none') this.#unsure = isClock ? 'seen' : 'all';
        this.#checks.ask();
      }
      await this.#refreshWaiting();
      return;
    }
    const shown = this.items[this.indexOf(id)];
    if (shown?.status === 'pending') {
      await this.#refreshOne(id);
      return;
    }
    if (!shown) this.#looks.ask();
    this.#told.add(id);
    this.#checks.ask();
  }

  async #refreshWaiting(): Promise<void> {
    if (this.#isRefreshing) return;
    this.#isRefreshing = true;
    const waiting = this.items.filter((item) => item.status === 'pending').slice(0, MOST_REFRESHED);
    for (const item of waiting) await this.#refreshOne(item.id);
    this.#isRefreshing = false;
  }

  /** Asks for what was listed since the newest that is known. Returns false if that has to be asked again; throws what may pass. */
  async #look(): Promise<boolean> {
    const { filter, reordered } = this;
    // The trash is sorted by when its media were listed, not by when they came there; those that match nearly, by nothing.
    if (!filter || filter.trash || this.nearly || this.state === 'failed' || document.hidden) return true;
    if (this.state === 'loading') return false;
    const query = filterQuery(filter);
    if (this.#newest !== null) query.set('from', this.#newest);
    query.set('limit', String(PAGE));
    let page: Page;
    try {
      page = await media.list(query);
    } catch (error) {
      if (mayPass(error)) throw error;
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
      if (!shown) return;
      if ((found.deleted_at !== null) !== this.filter?.trash) this.remove(new SvelteSet([id]));
      else if (found.status !== 'pending' || shown.status !== 'pending') this.put(found);
    } catch (error) {
      if (error instanceof ApiError && error.code === 'not_found') this.remove(new SvelteSet([id]));
      // Else the next look may succeed.
    }
  }

  /** Asks for what was or may have been changed. Returns false if that has to be asked again; throws what may pass. */
  async #check(): Promise<boolean> {
    const { filter } = this;
    if (!filter || this.state === 'failed') return true;
    // Once it is seen, the service is asked for all.
    if (document.hidden) return true;
    if (this.state === 'loading') return false;
    const [told, unsure] = [this.#told, this.#unsure];
    [this.#told, this.#unsure] = [new SvelteSet(), 'none'];
    if (this.nearly) {
      // Which are nearly what was searched does not change while they are shown.
      for (const id of told) if (this.indexOf(id) >= 0) await this.#refreshOne(id);
      return true;
    }
    try {
      let isOvertaken = false;
      for (const stretch of await this.#stretches(told, unsure)) {
        if (isOvertaken) break;
        isOvertaken = !(await this.#compare(filter, stretch, told));
      }
      // Another list was loaded after the change.
      if (!isOvertaken || this.filter !== filter) return true;
      this.#tellAgain(told, unsure);
      return false;
    } catch (error) {
      if (this.filter !== filter) return true;
      this.#tellAgain(told, unsure);
      if (mayPass(error)) throw error;
      return true;
    }
  }

  #tellAgain(told: ReadonlySet<string>, unsure: 'none' | 'seen' | 'all'): void {
    for (const id of told) this.#told.add(id);
    if (unsure === 'all' || this.#unsure === 'none') this.#unsure = unsure;
  }

  /** The parts of the list that may have changed. */
  async #stretches(told: ReadonlySet<string>, unsure: 'none' | 'seen' | 'all'): Promise<Stretch[]> {
    const others = [...told].filter((id) => this.indexOf(id) < 0 && this.#isOld(id));
    const all = this.#allStretches();
    if (unsure === 'all' || others.length > Math.min(all.length, MOST_REFRESHED)) {
      if (others.length > 0) this.#counts.ask();
      return all;
    }
    const times = await this.#timesOf(others);
    const [start, end] = unsure === 'seen' ? [this.seen - SEEN.before, this.seen + SEEN.after] : [0, 0];
    const isDue = (item: Item, place: number): boolean => told.has(item.id) || (place >= start && place < end);
    const places = this.items.flatMap((item, place) => (isDue(item, place) ? [place] : []));
    return stretchesAt(this.items, places, times);
  }

  /** All that is loaded. What is new at the top comes by another question, but not into the trash. */
  #allStretches(): Stretch[] {
    const { newest, oldest } = this.#loaded();
    const stretches = stretchesOf(this.items, [...this.items.keys()]);
    const [first, last] = [stretches[0], stretches.at(-1)];
    if (!first || !last) return [{ newest, oldest }];
    if (this.filter?.trash) first.newest = newest;
    last.oldest = oldest;
    return stretches;
  }

  /** The part of the list that is loaded. */
  #loaded(): Stretch {
    const [first] = this.items;
    const newest = this.hasNewer && first ? timeOf(first) : Infinity;
    return { newest, oldest: this.hasMore && this.#oldest ? timeOf(this.#oldest) : -Infinity };
  }

  #isLoaded(item: Item): boolean {
    const [first] = this.items;
    if (this.hasNewer && first && isNewer(item, first)) return false;
    return !(this.hasMore && this.#oldest && isNewer(this.#oldest, item));
  }

  /** Whether a media that is not here is none that was just uploaded. Those come by another question. */
  #isOld(id: string): boolean {
    return this.filter?.trash === true || this.#newest === null || timeOfId(id) < Date.parse(this.#newest);
  }

  /** The times of media that are not here and may belong into the part of the list that is loaded. */
  async #timesOf(ids: readonly string[]): Promise<number[]> {
    const times: number[] = [];
    for (const id of ids) {
      try {
        const found = await media.get(id);
        const isListed = (found.deleted_at !== null) === this.filter?.trash;
        const isInside = isWithin(found, this.#loaded());
        if (isListed && isInside) times.push(timeOf(found));
        else this.#counts.ask();
      } catch (error) {
        if (mayPass(error) || (error instanceof ApiError && error.status === 401)) throw error;
        this.#counts.ask();
      }
    }
    return times;
  }

  /**
   * Shows what is different in a stretch of the list: of media that the service has told of, all. Returns false if something else has changed
   * the list meanwhile.
   */
  async #compare(filter: Filter, stretch: Stretch, told: ReadonlySet<string>): Promise<boolean> {
    const { reordered } = this;
    const shown = await listStretch(filter, stretch);
    if (this.filter !== filter || this.reordered !== reordered) return false;
    const found = new SvelteSet(shown.map(({ id }) => id));
    const gone = this.items.filter((item) => isWithin(item, stretch) && !found.has(item.id));
    const fresh = shown.filter((item) => this.indexOf(item.id) < 0 && this.#isLoaded(item));
    const changed = shown.filter((item) => {
      const old = this.items[this.indexOf(item.id)];
      return old && (told.has(item.id) || old.version !== item.version || old.status !== item.status);
    });
    let isCountRight = gone.length + fresh.length === 0;
    for (const item of changed) {
      const place = this.indexOf(item.id);
      const old = this.items[place];
      if (old?.type !== item.type || old.tags.join() !== item.tags.join()) isCountRight = false;
      this.items[place] = slim({ ...old, ...item });
    }
    if (gone.length > 0) this.remove(new SvelteSet(gone.map(({ id }) => id)));
    if (fresh.length > 0) this.insert(fresh);
    if (gone.length + fresh.length + changed.length > 0) {
      this.#changed();
      this.moved++;
    }
    if (!isCountRight) this.#counts.ask();
    // One that had failed and was replaced is listed anew, at the top.
    if (gone.some(({ id }) => told.has(id))) this.#looks.ask();
    return true;
  }

  async #countAgain(): Promise<boolean> {
    const { filter } = this;
    if (!filter || this.nearly || document.hidden) return true;
    const counting = (this.#counting ??= new AbortController());
    try {
      await this.#countAll(filter, counting.signal);
    } catch {
      // What was counted before is nearly right.
    }
    return true;
  }

  async #countAll(filter: Filter, signal: AbortSignal): Promise<void> {
    const months = filterQuery(filter);
    months.set('zone', Intl.DateTimeFormat().resolvedOptions().timeZone);
    const [facets, timeline] = await Promise.all([media.facets(filterQuery(filter), signal), media.timeline(months, signal)]);
    this.facets = facets;
    this.months = timeline.months;
    this.total = facets.types.reduce((sum, type) => sum + type.count, 0);
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
      this.#replace(placed(page));
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

/** Whether a request that failed may succeed later. */
function mayPass(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 500);
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

export const gallery = new Gallery();
