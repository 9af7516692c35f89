import { SvelteSet } from 'svelte/reactivity';
import { ApiError, type Facets, type Item, type Media, type Month, type Page, isAbort, mayPass, media } from '../api';
import { Changes, MOST_REFRESHED } from './changes.svelte';
import { filterQuery, isFiltered, type Filter } from './filter';
import { Loaded, PAGE } from './loaded.svelte';
import { placeOf, recount } from './months';
import { Paced } from './paced';

/** Between two questions for what is new. */
const LOOK_MS = 3000;

/** The same while the service does not tell when there is something: many pages would ask for nothing. */
export const LOOK_BY_CLOCK_MS = 20_000;

/** Between two counts of the list because others have changed it, and the time within which the first one begins. */
const COUNT_MS = 20_000;

/** Media of the list that are newer than what is shown. */
interface Arrived {
  items: readonly Item[];
  /** Whether there are no others. */
  isAll: boolean;
}

const NONE: Arrived = { items: [], isAll: true };

/** The list of media that the filter finds. What is loaded is one part of it. */
export class Gallery extends Loaded {
  /** How the whole list is spread over time; empty until that is known. */
  months = $state.raw<Month[]>([]);
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
  newest: string | null = null;
  #isHeld = false;
  #lookedAt = 0;
  #looks = new Paced(() => this.#look(), LOOK_MS);
  #loading: AbortController | null = null;
  #counting: AbortController | null = null;
  #isRefreshing = false;
  #changes = new Changes(this);
  #counts = new Paced(() => this.#countAgain(), COUNT_MS, COUNT_MS);

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
    if (this.next === null || this.state !== 'ready') return;
    await this.#page({ before: this.next }, (page) => this.append(page));
  }

  /** Loads the page before the first item, if there is one and none is being loaded. */
  async newer(): Promise<void> {
    if (this.previous === null || this.state !== 'ready') return;
    await this.#page({ after: this.previous }, (page) => {
      this.prepend(page);
      if (page.previous === null) this.#reachedTop();
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
    this.putFirst(items.filter(({ id }) => this.indexOf(id) < 0));
    this.#reachedTop();
  }

  retry(): void {
    if (this.items.length > 0 && this.months.length > 0) {
      // What lacks pages at an end asks for them.
      this.state = 'ready';
    } else if (this.filter) {
      void this.load(this.filter);
    }
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
        this.#changes.doubt(isClock ? 'seen' : 'all');
      }
      await this.#refreshWaiting();
      return;
    }
    const shown = this.items[this.indexOf(id)];
    if (shown?.status === 'pending') {
      await this.refreshOne(id);
      return;
    }
    if (!shown) this.#looks.ask();
    this.#changes.tell(id);
  }

  /** Asks soon for what is new. */
  askNew(): void {
    this.#looks.ask();
  }

  /** Counts the list anew soon: others have changed it. */
  askCount(): void {
    this.#counts.ask();
  }

  async #refreshWaiting(): Promise<void> {
    if (this.#isRefreshing) return;
    this.#isRefreshing = true;
    const waiting = this.items.filter((item) => item.status === 'pending').slice(0, MOST_REFRESHED);
    for (const item of waiting) await this.refreshOne(item.id);
    this.#isRefreshing = false;
  }

  /** Asks for what was listed since the newest that is known. Returns false if that has to be asked again; throws what may pass. */
  async #look(): Promise<boolean> {
    const { filter, reordered } = this;
    // The trash is sorted by when its media were listed, not by when they came there; those that match nearly, by nothing.
    if (!filter || filter.trash || this.nearly || this.state === 'failed' || document.hidden) return true;
    if (this.state === 'loading') return false;
    const query = filterQuery(filter);
    if (this.newest !== null) query.set('from', this.newest);
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

  /** Asks for one media, and shows or removes it. */
  async refreshOne(id: string): Promise<void> {
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
      this.begin(page, index);
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
    this.newest = this.items[0]?.listed_at ?? null;
  }

  protected override count(changed: readonly Media[], step: 1 | -1): void {
    if (this.total !== null) this.total += step * changed.length;
    this.months = recount(this.months, changed.map((item) => item.listed_at), step);
  }

  #failed(error: unknown): void {
    this.error = error;
    this.state = 'failed';
  }
}

export const gallery = new Gallery();
