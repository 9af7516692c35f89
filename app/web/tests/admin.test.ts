import { cleanup, fireEvent, render, screen } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { formatAge } from '../src/lib/format';
import Failures from '../src/pages/Failures.svelte';
import Storage from '../src/pages/Storage.svelte';

let asked: string[];

/** A service that answers so to GET; another method is answered with the status. */
function serve(answer: unknown, status = 202): void {
  vi.stubGlobal('fetch', async (path: string, { method = 'GET' }: RequestInit) => {
    asked.push(`${method} ${path}`);
    if (method === 'GET') return Response.json(answer);
    if (status === 202) return new Response(null, { status });
    return Response.json({ error: { code: 'not_found', message: 'not found' } }, { status });
  });
}

beforeEach(() => (asked = []));
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const failure = { name: 'a.jpg', uploader: 'anna', attempts: 4, error: 'x', updated_at: '2026-11-30T00:00:00Z' };
const failures = {
  items: [
    { ...failure, media: 'M1', code: null, job: 'ocr' },
    { ...failure, media: 'M1', code: null, job: 'process' },
    { ...failure, media: 'M2', code: 'corrupt_image', job: null, name: 'b.jpg', attempts: null, error: null },
  ],
  total: 120,
  retryable: 1,
};

test('each failure is told in words, and its own work is tried again', async () => {
  serve(failures);
  render(Failures);
  await screen.findByText('Its text could not be recognised.');
  screen.getByText('The picture is damaged or incomplete.');
  screen.getByText('The newest 3 of 120 are shown.');
  for (const button of screen.getAllByRole('button', { name: 'Try a.jpg again' })) await fireEvent.click(button);
  await vi.waitFor(() => expect(screen.getAllByRole('listitem')).toHaveLength(1));
  expect(asked.slice(1)).toEqual(['POST /api/media/M1/ocr', 'POST /api/media/M1/thumbnails']);
});

test('what cannot be tried again stays in the list', async () => {
  serve(failures, 404);
  render(Failures);
  const [button] = await screen.findAllByRole('button', { name: 'Try a.jpg again' });
  await fireEvent.click(button as HTMLElement);
  await vi.waitFor(() => expect(asked).toHaveLength(2));
  expect(screen.getAllByRole('listitem')).toHaveLength(3);
});

test('storage is that of the gallery and of the trash', async () => {
  const usage = { account: 'A', username: 'anna', is_deleted: false, media: 2, size: 3_000_000, trash: 1, trash_size: 1_500_000 };
  serve({ items: [usage, { ...usage, account: 'B', username: 'deleted B', is_deleted: true, trash: 0, trash_size: 0 }] });
  render(Storage);
  await screen.findByText('7.5 MB in all');
  screen.getByText('3 items, 1.5 MB of it in the trash');
  screen.getByText('Deleted account');
});

test('an age is told in its largest unit', () => {
  expect([0, 59.9, 60, 7300, 200_000].map(formatAge)).toEqual(['0 seconds', '59 seconds', '1 minute', '2 hours', '2 days']);
});
