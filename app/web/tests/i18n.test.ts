import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AST, parse } from 'svelte/compiler';
import { expect, test } from 'vitest';
import { catalogues, i18n, t } from '../src/lib/i18n/index.svelte';
import type { Key, Message } from '../src/lib/i18n/en';

const SOURCES = readdirSync('src', { recursive: true, encoding: 'utf8' });
/** Attributes that people read or hear. */
const READ = new Set(['aria-label', 'alt', 'title', 'placeholder', 'label', 'text', 'hint', 'note']);

const texts = (message: Message): string[] => (typeof message === 'string' ? [message] : [message.one, message.other]);
const parameters = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort();

test('the catalogues have the same keys, and each message takes the same parameters', () => {
  const keys = Object.keys(catalogues.en) as Key[];
  expect(Object.keys(catalogues.fi)).toEqual(keys);
  for (const key of keys) {
    const [en, fi] = [catalogues.en[key], catalogues.fi[key]];
    expect(typeof fi, key).toBe(typeof en);
    for (const text of [...texts(en), ...texts(fi)]) {
      expect(text.trim(), key).not.toBe('');
      const own = parameters(text).filter((name) => name !== '{count}');
      expect(own, key).toEqual(parameters(texts(en)[0] ?? '').filter((name) => name !== '{count}'));
    }
  }
});

test('every message is used', () => {
  const code = SOURCES.filter((name) => /\.(svelte|ts)$/.test(name) && !/i18n\/(en|fi)\.ts$/.test(name))
    .map((name) => readFileSync(join('src', name), 'utf8'))
    .join('\n');
  // Keys that the code puts together.
  const made = /^(error|title|role|theme|scope|upload\.state|bootstrap|invite|job|command|queue)\.|^expired?$/;
  const unused = Object.keys(catalogues.en).filter((key) => !made.test(key) && !code.includes(`'${key}'`));
  expect(unused).toEqual([]);
});

test('no component has a text of its own', () => {
  const found: string[] = [];
  for (const name of SOURCES.filter((name) => name.endsWith('.svelte'))) {
    const { fragment } = parse(readFileSync(join('src', name), 'utf8'), { modern: true });
    visit(fragment, (text) => found.push(`${name}: ${text}`));
  }
  expect(found).toEqual([]);
});

test('a message has its parameters and the right plural, in the language of the user', () => {
  expect(t('bulk.deleted', { count: 1 })).toBe('1 item is in the trash.');
  expect(t('items', { count: 1234 })).toBe('1,234 items');
  i18n.choose('fi');
  expect(t('items', { count: 1 })).toBe('1 kohde');
  expect(document.documentElement.lang).toBe('fi');
  i18n.choose('en');
});

/** Calls `found` with each text of a template that has letters. */
function visit(node: unknown, found: (text: string) => void): void {
  if (Array.isArray(node)) node.forEach((child) => visit(child, found));
  if (typeof node !== 'object' || node === null || Array.isArray(node)) return;
  const typed = node as AST.SvelteNode;
  if (typed.type === 'Text' && /\p{L}/u.test(typed.data)) found(typed.data);
  if (typed.type === 'StyleDirective') return;
  if (typed.type === 'Attribute') {
    if (READ.has(typed.name) && Array.isArray(typed.value)) visit(typed.value, found);
    return;
  }
  for (const [key, child] of Object.entries(typed)) if (key !== 'metadata') visit(child, found);
}
