import { SvelteSet } from 'svelte/reactivity';
import type { Item } from '../api';

/** The media that are selected. */
class Selection {
  ids = new SvelteSet<string>();
  #anchor: string | null = null;
  /** What `extend` has selected: from which media to which, and those that were not selected before. */
  #stretch: { from: string; to: string; added: string[] } | null = null;

  /** Selects one or takes it out; with `range`, all from the one before to this one. */
  toggle(items: Item[], index: number, range: boolean): void {
    const item = items[index];
    if (!item) return;
    this.#stretch = null;
    const anchor = range ? items.findIndex((other) => other.id === this.#anchor) : -1;
    if (anchor >= 0) {
      for (const { id } of items.slice(Math.min(anchor, index), Math.max(anchor, index) + 1)) this.ids.add(id);
    } else if (!this.ids.delete(item.id)) {
      this.ids.add(item.id);
    }
    this.#anchor = item.id;
  }

  /**
   * Selects all from one to another. Called again from the same one, it takes back what is no longer between the two and was not selected
   * before.
   */
  extend(items: Item[], from: number, to: number): void {
    const [start, end] = [items[from]?.id, items[to]?.id];
    if (start === undefined || end === undefined) return;
    const between = items.slice(Math.min(from, to), Math.max(from, to) + 1).map(({ id }) => id);
    const old = new SvelteSet(this.#stretch?.from === start ? this.#stretch.added : []);
    const kept = new SvelteSet(between);
    for (const id of old) if (!kept.has(id)) this.ids.delete(id);
    const added = between.filter((id) => old.has(id) || !this.ids.has(id));
    for (const id of added) this.ids.add(id);
    this.#stretch = { from: start, to: end, added };
    this.#anchor = start;
  }

  /** Begins a stretch, which `over` extends. Nothing is selected yet. */
  begin(items: Item[], index: number): void {
    this.#stretch = null;
    this.#anchor = items[index]?.id ?? null;
  }

  /** Extends the stretch that `begin` began, wherever its first item is by now. */
  over(items: Item[], to: number): void {
    this.extend(items, items.findIndex(({ id }) => id === this.#anchor), to);
  }

  /** Extends what was extended to `from`, or begins there. */
  step(items: Item[], from: number, to: number): void {
    const goesOn = this.#stretch !== null && this.#stretch.to === items[from]?.id;
    const start = goesOn ? items.findIndex(({ id }) => id === this.#stretch?.from) : from;
    this.extend(items, start, to);
  }

  all(items: Item[]): void {
    for (const { id } of items) this.ids.add(id);
  }

  clear(): void {
    this.ids.clear();
    this.#stretch = null;
    this.#anchor = null;
  }
}

export const selection = new Selection();
