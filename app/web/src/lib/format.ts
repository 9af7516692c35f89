import { i18n } from './i18n/index.svelte';

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte'] as const;

/** Units of time and their lengths in seconds. */
const AGES = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
] as const;

/** A size in bytes, such as `1.2 MB`. */
export function formatSize(bytes: number): string {
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), UNITS.length - 1);
  const unit = UNITS[power] ?? 'byte';
  const options = { style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits: power > 1 ? 1 : 0 } as const;
  return new Intl.NumberFormat(i18n.locale, options).format(bytes / 1000 ** power);
}

export function formatDate(time: string): string {
  return new Intl.DateTimeFormat(i18n.locale, { dateStyle: 'medium' }).format(new Date(time));
}

export function formatTime(time: string): string {
  return new Intl.DateTimeFormat(i18n.locale, { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(time));
}

/** The month of a time, such as `November 2026`. */
export function formatMonth(time: string): string {
  const text = new Intl.DateTimeFormat(i18n.locale, { month: 'long', year: 'numeric' }).format(new Date(time));
  return text.charAt(0).toLocaleUpperCase(i18n.locale) + text.slice(1);
}

/** How long something takes, in its largest unit, such as `2 hours`. */
export function formatAge(seconds: number): string {
  const [unit, length] = AGES.find(([, length]) => seconds >= length) ?? (['second', 1] as const);
  const options = { style: 'unit', unit, unitDisplay: 'long', maximumFractionDigits: 0 } as const;
  return new Intl.NumberFormat(i18n.locale, options).format(Math.floor(seconds / length));
}

/** A duration in milliseconds as `1:05` or `1:02:03`. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown.map((part, place) => (place === 0 ? String(part) : String(part).padStart(2, '0'))).join(':');
}
