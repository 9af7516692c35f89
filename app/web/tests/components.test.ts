import { cleanup, fireEvent, render, screen } from '@testing-library/svelte';
import { createRawSnippet } from 'svelte';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ApiError, type Media } from '../src/lib/api';
import { toasts } from '../src/lib/toasts.svelte';
import Form from '../src/ui/Form.svelte';
import TagInput from '../src/ui/TagInput.svelte';
import Details from '../src/viewer/Details.svelte';
import Editable from '../src/viewer/Editable.svelte';

afterEach(cleanup);

describe('a field that is edited in place', () => {
  function editable(value: string): { field: HTMLInputElement; save: ReturnType<typeof vi.fn> } {
    const save = vi.fn();
    render(Editable, { label: 'Name', value, save, required: true });
    return { field: screen.getByLabelText('Name'), save };
  }

  test('saves what changed, once, when it is left', async () => {
    const { field, save } = editable('boat.jpg');
    await fireEvent.blur(field);
    expect(save).not.toHaveBeenCalled();
    await fireEvent.input(field, { target: { value: ' pier.jpg ' } });
    await fireEvent.blur(field);
    expect(save.mock.calls).toEqual([['pier.jpg']]);
  });

  test('takes the change back on Escape, and never saves nothing', async () => {
    const { field, save } = editable('boat.jpg');
    await fireEvent.input(field, { target: { value: 'pier.jpg' } });
    await fireEvent.keyDown(field, { key: 'Escape' });
    expect(field.value).toBe('boat.jpg');
    await fireEvent.input(field, { target: { value: '  ' } });
    await fireEvent.blur(field);
    expect(save).not.toHaveBeenCalled();
    expect(field.value).toBe('boat.jpg');
  });
});

describe('details that others change', () => {
  const old = { id: 'A', version: 1, name: 'boat.jpg', description: '', tags: ['lake'], type: 'image', deleted_at: null, size: 1, created_at: '2026-01-01T00:00:00Z', duration_ms: null } as unknown as Media;

  function details(): { name: HTMLInputElement; change: (change: Partial<Media>) => Promise<void>; sent: ReturnType<typeof vi.fn> } {
    const sent = vi.fn();
    vi.stubGlobal('fetch', async (path: string, { method, headers, body }: RequestInit) => {
      sent(method, path, new Headers(headers).get('if-match'), body);
      return Response.json({ ...old, ...(JSON.parse(String(body)) as object), version: 3 });
    });
    const props = { media: old, update: () => undefined, close: () => undefined };
    const { rerender } = render(Details, props);
    const change = (change: Partial<Media>): Promise<void> => rerender({ ...props, media: { ...old, version: 2, ...change } });
    return { name: screen.getByLabelText('Name'), change, sent };
  }

  afterEach(() => vi.unstubAllGlobals());

  /** A service that refuses the first change, because another user has made this one. */
  function overtaken(theirs: Partial<Media>): ReturnType<typeof vi.fn> {
    const sent = vi.fn();
    vi.stubGlobal('fetch', async (path: string, { method, headers, body }: RequestInit) => {
      if (method === 'GET') return Response.json({ ...old, ...theirs, version: 2 });
      const version = new Headers(headers).get('if-match');
      sent(path, version, body);
      if (version === '"1"') return Response.json({ error: { code: 'other_version', message: '' } }, { status: 412 });
      return Response.json({ ...old, ...theirs, ...(JSON.parse(String(body)) as object), version: 3 });
    });
    return sent;
  }

  test('are not undone by what was typed and taken back', async () => {
    const { change, sent } = details();
    const field = screen.getByLabelText('Description') as HTMLTextAreaElement;
    await fireEvent.input(field, { target: { value: 'x' } });
    await fireEvent.input(field, { target: { value: '' } });
    await change({ description: 'theirs' });
    expect(field.value).toBe('theirs');
    await fireEvent.blur(field);
    expect([sent.mock.calls, screen.queryByRole('alert')]).toEqual([[], null]);
  });

  test('keep all that waits for the answer to a question', async () => {
    const { name, change, sent } = details();
    await fireEvent.input(name, { target: { value: 'mine.jpg' } });
    await change({ name: 'theirs.jpg' });
    await fireEvent.click(screen.getByRole('button', { name: 'Remove the tag lake' }));
    await change({ name: 'newest.jpg', version: 3 });
    expect(screen.getByRole('alert').textContent).toContain('Now: newest.jpg');
    await fireEvent.click(screen.getByText('Use mine'));
    const [, , version, body] = (sent.mock.calls[0] ?? []) as string[];
    expect([sent.mock.calls.length, version, JSON.parse(String(body))]).toEqual([1, '"3"', { tags: [], name: 'mine.jpg' }]);
  });

  test('are no hindrance, if they are in another field than what the user has changed', async () => {
    const { name } = details();
    const sent = overtaken({ description: 'theirs' });
    await fireEvent.input(name, { target: { value: 'mine.jpg' } });
    await fireEvent.blur(name);
    await vi.waitFor(() => expect(sent.mock.calls.map(([, version]) => version as string)).toEqual(['"1"', '"2"']));
    expect(screen.queryByRole('alert')).toBeNull();
  });

  test('ask when the service tells of them only after the user has typed; on the next picture they are told', async () => {
    const { name } = details();
    overtaken({ name: 'theirs.jpg' });
    await fireEvent.input(name, { target: { value: 'mine.jpg' } });
    await fireEvent.blur(name);
    expect((await screen.findByRole('alert')).textContent).toContain('Now: theirs.jpg');
    cleanup();
    const other = details();
    const sent = overtaken({ name: 'theirs.jpg' });
    await fireEvent.input(other.name, { target: { value: 'mine.jpg' } });
    await fireEvent.blur(other.name);
    cleanup();
    await vi.waitFor(() => expect(toasts.list.at(-1)?.text).toBe('Another person changed this meanwhile.'));
    expect(sent).toHaveBeenCalledTimes(1);
  });

  test('show it, beside what the user types in another field', async () => {
    const { name, change, sent } = details();
    await fireEvent.input(name, { target: { value: 'mine.jpg' } });
    await change({ description: 'theirs', tags: ['lake', 'sauna'] });
    expect((screen.getByLabelText('Description') as HTMLTextAreaElement).value).toBe('theirs');
    expect([name.value, screen.queryByRole('alert')]).toEqual(['mine.jpg', null]);
    expect(screen.getByText('sauna')).toBeTruthy();
    await fireEvent.blur(name);
    expect(sent.mock.calls).toEqual([['PATCH', '/api/media/A', '"2"', '{"name":"mine.jpg"}']]);
  });

  test('ask which one is to stay, if the user types in the same field', async () => {
    const { name, change, sent } = details();
    await fireEvent.input(name, { target: { value: 'mine.jpg' } });
    await change({ name: 'theirs.jpg' });
    await fireEvent.blur(name);
    expect([name.value, screen.getByRole('alert').textContent, sent.mock.calls]).toEqual(['mine.jpg', expect.stringContaining('Now: theirs.jpg'), []]);
    await fireEvent.click(screen.getByText('Use mine'));
    expect(sent.mock.calls).toEqual([['PATCH', '/api/media/A', '"2"', '{"name":"mine.jpg"}']]);
    cleanup();
    const other = details();
    await fireEvent.input(other.name, { target: { value: 'mine.jpg' } });
    await other.change({ name: 'theirs.jpg' });
    await fireEvent.click(screen.getByText('Keep theirs'));
    expect([other.name.value, screen.queryByRole('alert'), other.sent.mock.calls]).toEqual(['theirs.jpg', null, []]);
  });
});

describe('tags', () => {
  async function type(tags: string[], text: string, key: string): Promise<unknown[][]> {
    const change = vi.fn();
    render(TagInput, { tags, change, label: 'Tags' });
    const field = screen.getByLabelText('Tags');
    await fireEvent.input(field, { target: { value: text } });
    await fireEvent.keyDown(field, { key });
    return change.mock.calls;
  }

  test('are added by Enter or a comma, several at once, each once', async () => {
    expect(await type(['lake'], 'sauna, lake ,mökki', 'Enter')).toEqual([[['lake', 'sauna', 'mökki']]]);
    cleanup();
    expect(await type([], 'sauna', ',')).toEqual([[['sauna']]]);
    cleanup();
    expect(await type([], ' ', 'Enter')).toEqual([]);
  });

  test('are completed by the service, once the user pauses', async () => {
    vi.useFakeTimers();
    const asked: string[] = [];
    vi.stubGlobal('fetch', async (path: string) => {
      asked.push(path);
      return Response.json({ items: ['sauna', 'saunassa'].map((value) => ({ value, count: 1 })) });
    });
    render(TagInput, { tags: ['sauna'], change: vi.fn(), label: 'Tags' });
    const field = screen.getByLabelText('Tags');
    for (const value of ['s', 'sa', 'lake, sau']) await fireEvent.input(field, { target: { value } });
    await vi.advanceTimersByTimeAsync(200);
    expect(asked).toEqual(['/api/media/tags?q=sau']);
    expect([...document.querySelectorAll('option')].map(({ value }) => value)).toEqual(['saunassa']);
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  test('are removed by Backspace and by their button', async () => {
    expect(await type(['lake', 'sauna'], '', 'Backspace')).toEqual([[['lake']]]);
    cleanup();
    const change = vi.fn();
    render(TagInput, { tags: ['lake', 'sauna'], change, label: 'Tags' });
    await fireEvent.click(screen.getByRole('button', { name: 'Remove the tag lake' }));
    expect(change.mock.calls).toEqual([[['sauna']]]);
  });
});

describe('a form', () => {
  const children = createRawSnippet(() => ({ render: () => '<input>' }));

  test('says in words why it failed, and can be sent again', async () => {
    const submit = vi.fn().mockRejectedValueOnce(new ApiError(429, 'too_many_attempts', 'x', 30)).mockResolvedValueOnce(undefined);
    render(Form, { submit, label: 'Sign in', children });
    await fireEvent.click(screen.getByRole('button'));
    expect((await screen.findByRole('alert')).textContent).toBe('Too many attempts. Try again in 30 seconds.');
    await fireEvent.click(screen.getByRole('button', { name: 'Sign in' }));
    await vi.waitFor(() => expect(screen.queryByRole('alert')).toBeNull());
    expect(submit).toHaveBeenCalledTimes(2);
  });

  test('of an error that the catalogue does not know tells what the service said', async () => {
    const submit = vi.fn().mockRejectedValueOnce(new ApiError(418, 'teapot', 'this is a teapot'));
    render(Form, { submit, label: 'Brew', children });
    await fireEvent.click(screen.getByRole('button'));
    expect((await screen.findByRole('alert')).textContent).toBe('this is a teapot');
  });
});
