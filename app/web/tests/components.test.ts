import { cleanup, fireEvent, render, screen } from '@testing-library/svelte';
import { createRawSnippet } from 'svelte';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ApiError } from '../src/lib/api';
import Form from '../src/ui/Form.svelte';
import TagInput from '../src/ui/TagInput.svelte';
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
