import { expect, test } from 'vitest';
import { nameOf, shouldRetry } from '../src/lib/upload/sending';

test('a service that is away is waited for, an error is tried again a few times, a refusal never', () => {
  const attempts = (status: number): number => [...Array(25).keys()].filter((attempt) => shouldRetry(status, attempt)).length;
  expect([0, 502, 503, 504].map(attempts)).toEqual([25, 25, 25, 25]);
  expect([409, 423, 500].map(attempts)).toEqual([5, 5, 5]);
  expect([400, 401, 404, 413, 415, 422, 429, 507].map(attempts)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
});

test('a file is not refused for its name', () => {
  const name = (name: string): string => nameOf(new File([], name));
  expect(name('a\\b/c\u0000\n.jpg')).toBe('a_b_c__.jpg');
  expect(name('שלום 👩‍👩‍👧 <b>.jpg')).toBe('שלום 👩‍👩‍👧 <b>.jpg');
  expect(name('👩'.repeat(300))).toBe('👩'.repeat(255));
});
