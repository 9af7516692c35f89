import { SvelteSet } from 'svelte/reactivity';
import { ApiError, type Item, mayPass, media } from '../api';
import type { Filter } from './filter';
import type { Loaded } from './loaded.svelte';
import { Paced } from './paced';
import { isWithin, listStretch, type Stretch, stretchesAt, stretchesOf, timeOf, timeOfId } from './stretch';

/** Media that are asked for one by one, at most. */
export const MOST_REFRESHED = 50;

/** Between two questions for what was changed. */
const CHECK_MS = 1000;

/** Within this time such a question begins: all pages are told of a change at the same moment. */
const CHECK_WITHIN_MS = 2000;

/** So many items are asked for anew where the user looks, while the service does not tell what was changed. */
const SEEN = { before: 20, after: 60 };

/** Which places may have been changed without a word. */
type Unsure = 'none' | 'seen' | 'all';

/** The list that is kept as the service has it. */
interface Listed extends Loaded {
  readonly filter: Filter | null;
  readonly state: 'loading' | 'ready' | 'failed';
  /** Whether the items are only nearly what was searched. */
  readonly nearly: boolean;
  /** When the newest media that was shown was listed. */
  readonly newest: string | null;
  /** Asks for one media, and shows or removes it. */
  refreshOne(id: string): Promise<void>;
  /** Asks soon for what is new. */
  askNew(): void;
  /** Counts the list anew soon. */
  askCount(): void;
}

/** Brings into the list what others have edited, tagged, deleted, restored or replaced. */
export class Changes {
  /** Media that were changed by others, or perhaps by the user. */
  #told = new SvelteSet<string>();
  #unsure: Unsure = 'none';
  #checks = new Paced(() => this.#check(), CHECK_MS, CHECK_WITHIN_MS);
  readonly #list: Listed;

  constructor(list: Listed) {
    this.#list = list;
  }

  /** The service has told of a change of this media. */
  tell(id: string): void {
    this.#told.add(id);
    this.#checks.ask();
  }

  /** The service does not tell of changes: those that are seen may have changed. Or it has told nothing for a while: all may have. */
  doubt(unsure: 'seen' | 'all'): void {
    if (unsure === 'all' || this.#unsure === 'none') this.#unsure = unsure;
    this.#checks.ask();
  }

  /** Asks for what was or may have been changed. Returns false if that has to be asked again; throws what may pass. */
  async #check(): Promise<boolean> {
    const { filter } = this.#list;
    if (!filter || this.#list.state === 'failed') return true;
    // Once it is seen, the service is asked for all.
    if (document.hidden) return true;
    if (this.#list.state === 'loading') return false;
    const [told, unsure] = [this.#told, this.#unsure];
    [this.#told, this.#unsure] = [new SvelteSet(), 'none'];
    if (this.#list.nearly) {
      // Which are nearly what was searched does not change while they are shown.
      for (const id of told) if (this.#list.indexOf(id) >= 0) await this.#list.refreshOne(id);
      return true;
    }
    try {
      let isOvertaken = false;
      for (const stretch of await this.#stretches(told, unsure)) {
        if (isOvertaken) break;
        isOvertaken = !(await this.#compare(filter, stretch, told));
      }
      // Another list was loaded after the change.
      if (!isOvertaken || this.#list.filter !== filter) return true;
      this.#tellAgain(told, unsure);
      return false;
    } catch (error) {
      if (this.#list.filter !== filter) return true;
      this.#tellAgain(told, unsure);
      if (mayPass(error)) throw error;
      return true;
    }
  }

  #tellAgain(told: ReadonlySet<string>, unsure: Unsure): void {
    for (const id of told) this.#told.add(id);
    if (unsure === 'all' || this.#unsure === 'none') this.#unsure = unsure;
  }

  /** The parts of the list that may have changed. */
  async #stretches(told: ReadonlySet<string>, unsure: Unsure): Promise<Stretch[]> {
    const others = [...told].filter((id) => this.#list.indexOf(id) < 0 && this.#isOld(id));
    const all = this.#allStretches();
    if (unsure === 'all' || others.length > Math.min(all.length, MOST_REFRESHED)) {
      if (others.length > 0) this.#list.askCount();
      return all;
    }
    const times = await this.#timesOf(others);
    const [start, end] = unsure === 'seen' ? [this.#list.seen - SEEN.before, this.#list.seen + SEEN.after] : [0, 0];
    const isDue = (item: Item, place: number): boolean => told.has(item.id) || (place >= start && place < end);
    const places = this.#list.items.flatMap((item, place) => (isDue(item, place) ? [place] : []));
    return stretchesAt(this.#list.items, places, times);
  }

  /** All that is loaded. What is new at the top comes by another question, but not into the trash. */
  #allStretches(): Stretch[] {
    const { newest, oldest } = this.#list.range;
    const stretches = stretchesOf(this.#list.items, [...this.#list.items.keys()]);
    const [first, last] = [stretches[0], stretches.at(-1)];
    if (!first || !last) return [{ newest, oldest }];
    if (this.#list.filter?.trash) first.newest = newest;
    last.oldest = oldest;
    return stretches;
  }

  /** Whether a media that is not here is none that was just uploaded. Those come by another question. */
  #isOld(id: string): boolean {
    return this.#list.filter?.trash === true || this.#list.newest === null || timeOfId(id) < Date.parse(this.#list.newest);
  }

  /** The times of media that are not here and may belong into the part of the list that is loaded. */
  async #timesOf(ids: readonly string[]): Promise<number[]> {
    const times: number[] = [];
    for (const id of ids) {
      try {
        const found = await media.get(id);
        const isListed = (found.deleted_at !== null) === this.#list.filter?.trash;
        const isInside = isWithin(found, this.#list.range);
        if (isListed && isInside) times.push(timeOf(found));
        else this.#list.askCount();
      } catch (error) {
        if (mayPass(error) || (error instanceof ApiError && error.status === 401)) throw error;
        this.#list.askCount();
      }
    }
    return times;
  }

  /**
   * Shows what is different in a stretch of the list: of media that the service has told of, all. Returns false if something else has changed
   * the list meanwhile.
   */
  async #compare(filter: Filter, stretch: Stretch, told: ReadonlySet<string>): Promise<boolean> {
    const { reordered } = this.#list;
    const shown = await listStretch(filter, stretch);
    if (this.#list.filter !== filter || this.#list.reordered !== reordered) return false;
    const found = new SvelteSet(shown.map(({ id }) => id));
    const gone = this.#list.items.filter((item) => isWithin(item, stretch) && !found.has(item.id));
    const fresh = shown.filter((item) => this.#list.indexOf(item.id) < 0 && this.#list.isInside(item));
    const changed = shown.filter((item) => {
      const old = this.#list.items[this.#list.indexOf(item.id)];
      return old && (told.has(item.id) || old.version !== item.version || old.status !== item.status);
    });
    let isCountRight = gone.length + fresh.length === 0;
    for (const item of changed) {
      const old = this.#list.items[this.#list.indexOf(item.id)];
      if (old?.type !== item.type || old.tags.join() !== item.tags.join()) isCountRight = false;
      this.#list.update(item);
    }
    if (gone.length > 0) this.#list.remove(new SvelteSet(gone.map(({ id }) => id)));
    if (fresh.length > 0) this.#list.insert(fresh);
    if (gone.length + fresh.length + changed.length > 0) {
      this.#list.changed();
      this.#list.moved++;
    }
    if (!isCountRight) this.#list.askCount();
    // One that had failed and was replaced is listed anew, at the top.
    if (gone.some(({ id }) => told.has(id))) this.#list.askNew();
    return true;
  }
}
