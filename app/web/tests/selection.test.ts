import { beforeEach, expect, test } from 'vitest';
import type { Item } from '../src/lib/api';
import { selection } from '../src/lib/gallery/selection.svelte';

const items = [...'ABCDEFGH'].map((id) => ({ id }) as Item);
const selected = (): string => [...selection.ids].sort().join('');

beforeEach(() => selection.clear());

test('a stretch grows and shrinks, and leaves alone what was selected before', () => {
  selection.toggle(items, 1, false);
  selection.extend(items, 3, 3);
  selection.extend(items, 3, 5);
  expect(selected()).toBe('BDEF');
  selection.extend(items, 3, 0);
  expect(selected()).toBe('ABCD');
  selection.extend(items, 3, 4);
  expect(selected()).toBe('BDE');
});

test('steps go on from where the last one ended, or begin anew', () => {
  selection.step(items, 2, 3);
  selection.step(items, 3, 4);
  expect(selected()).toBe('CDE');
  selection.step(items, 4, 3);
  expect(selected()).toBe('CD');
  selection.step(items, 6, 7);
  expect(selected()).toBe('CDGH');
});

test('a click with shift goes on from where a stretch began', () => {
  selection.extend(items, 4, 5);
  selection.toggle(items, 2, true);
  expect(selected()).toBe('CDEF');
  selection.toggle(items, 4, false);
  expect(selected()).toBe('CDF');
});
