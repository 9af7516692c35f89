import { en, type Key, type Message } from './en';
import { fi } from './fi';

export type { Key } from './en';
export type Locale = 'en' | 'fi';

const KEY = 'locale';

export const catalogues: Record<Locale, Record<Key, Message>> = { en, fi };

class I18n {
  locale = $state<Locale>(read());
  plurals = $derived(new Intl.PluralRules(this.locale));

  constructor() {
    document.documentElement.lang = this.locale;
  }

  choose(locale: Locale): void {
    this.locale = locale;
    localStorage.setItem(KEY, locale);
    document.documentElement.lang = locale;
  }
}

export const i18n = new I18n();

/** The message of a key in the user's language. `{name}` is replaced by the parameter; `count` picks the plural's form. */
export function t(key: Key, parameters: Record<string, string | number> = {}): string {
  const message = catalogues[i18n.locale][key];
  const count = Number(parameters['count']);
  const text = typeof message === 'string' ? message : message[i18n.plurals.select(count) === 'one' ? 'one' : 'other'];
  return text.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = parameters[name];
    return typeof value === 'number' ? value.toLocaleString(i18n.locale) : String(value);
  });
}

function read(): Locale {
  const stored = localStorage.getItem(KEY) ?? navigator.language;
  return stored.startsWith('fi') ? 'fi' : 'en';
}
