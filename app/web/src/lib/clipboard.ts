import { t } from './i18n/index.svelte';
import { toasts } from './toasts.svelte';

export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toasts.show(t('copied'));
  } catch {
    toasts.show(t('copy.failed'), 'error');
  }
}

/** Copies the picture itself. The browser takes PNG only, and wants the promise: fetching first would lose the user's click. */
export async function copyImage(url: string): Promise<void> {
  try {
    const png = fetch(url).then((response) => (response.ok ? response.blob() : Promise.reject(new Error(url))));
    await navigator.clipboard.write([new ClipboardItem({ 'image/png': png })]);
    toasts.show(t('copied.image'));
  } catch {
    toasts.show(t('copy.failed'), 'error');
  }
}
