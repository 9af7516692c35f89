import { type BulkAction, media } from '../api';
import { explain } from '../i18n/errors';
import { t } from '../i18n/index.svelte';
import { toasts } from '../toasts.svelte';
import { gallery } from './gallery.svelte';
import type { Placed } from './loaded.svelte';
import { selection } from './selection.svelte';

const OPPOSITE: Record<BulkAction, BulkAction> = { delete: 'restore', restore: 'delete', tag: 'untag', untag: 'tag' };

const DONE = {
  delete: 'bulk.deleted',
  restore: 'bulk.restored',
  tag: 'bulk.tagged',
  untag: 'bulk.untagged',
} as const;

/** Changes media, shows it at once, and offers to undo it. */
export async function change(action: BulkAction, ids: string[], tags: string[] = []): Promise<void> {
  try {
    const changed = await media.bulk(action, ids, tags);
    selection.clear();
    const filter = gallery.filter;
    const removed = show(action, changed, tags);
    const undo = async (): Promise<void> => {
      try {
        await media.bulk(OPPOSITE[action], changed, tags);
        if (gallery.filter === filter) {
          show(OPPOSITE[action], changed, tags);
          gallery.insert(removed);
        } else if (gallery.filter) {
          await gallery.load(gallery.filter);
        }
        toasts.show(t('bulk.undone'));
      } catch (error) {
        toasts.show(explain(error), 'error');
      }
    };
    const offer = changed.length > 0 ? { label: t('undo'), run: () => void undo() } : undefined;
    toasts.show(t(DONE[action], { count: changed.length }), 'note', offer);
  } catch (error) {
    toasts.show(explain(error), 'error');
  }
}

/** Deletes media of the trash with their files. There is no way back, so the page asks first. */
export async function deleteForEver(ids: string[]): Promise<void> {
  const deleted = new Set<string>();
  try {
    for (const id of ids) {
      await media.deleteForEver(id);
      deleted.add(id);
    }
    toasts.show(t('bulk.deleted.ever', { count: ids.length }));
  } catch (error) {
    toasts.show(explain(error), 'error');
  }
  gallery.remove(deleted);
  selection.clear();
}

function show(action: BulkAction, ids: string[], tags: string[]): Placed[] {
  const changed = new Set(ids);
  if (action === 'tag') gallery.tag(changed, (old) => [...new Set([...old, ...tags])]);
  else if (action === 'untag') gallery.tag(changed, (old) => old.filter((tag) => !tags.includes(tag)));
  else if (action === (gallery.filter?.trash ? 'restore' : 'delete')) return gallery.remove(changed);
  return [];
}
