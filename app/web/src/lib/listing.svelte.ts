import { explain } from './i18n/errors';
import { toasts } from './toasts.svelte';

/** A list of the service's that a page shows, and whose items can be taken out. */
export class Listing<T extends { id: string }> {
  items = $state.raw<T[] | null>(null);
  error = $state.raw<unknown>(null);
  #list: () => Promise<{ items: T[] }>;
  #remove: (id: string) => Promise<unknown>;

  constructor(list: () => Promise<{ items: T[] }>, remove: (id: string) => Promise<unknown>) {
    this.#list = list;
    this.#remove = remove;
    void this.load();
  }

  load = async (): Promise<void> => {
    this.error = null;
    try {
      this.items = (await this.#list()).items;
    } catch (error) {
      this.error = error;
    }
  };

  async remove(id: string, done: string): Promise<void> {
    try {
      await this.#remove(id);
      this.items = (this.items ?? []).filter((item) => item.id !== id);
      toasts.show(done);
    } catch (error) {
      toasts.show(explain(error), 'error');
    }
  }
}
