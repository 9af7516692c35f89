import type { Segment } from '../api';

/** What the gallery shows. It is the query string of the address and of the API. */
export interface Filter {
  q: string;
  type: '' | 'image' | 'video';
  tags: string[];
  uploader: string;
  /** Days, such as `2026-01-31`; the last one is included. */
  from: string;
  to: string;
  trash: boolean;
}

export function parseFilter(query: URLSearchParams, trash: boolean): Filter {
  const type = query.get('type');
  return {
    q: query.get('q') ?? '',
    type: type === 'image' || type === 'video' ? type : '',
    tags: (query.get('tag') ?? '').split(',').filter((tag) => tag !== ''),
    uploader: query.get('uploader') ?? '',
    from: day(query.get('from')),
    to: day(query.get('to')),
    trash: trash || query.get('trash') === 'true',
  };
}

/** The query string of an address, with the question mark; empty without a filter. */
export function filterAddress(filter: Filter): string {
  const query = new URLSearchParams();
  for (const name of ['q', 'type', 'uploader', 'from', 'to'] as const) {
    if (filter[name]) query.set(name, filter[name]);
  }
  if (filter.tags.length > 0) query.set('tag', filter.tags.join(','));
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}

/** The query of the API. Days are those of the user's own time zone. */
export function filterQuery(filter: Filter): URLSearchParams {
  const query = new URLSearchParams(filterAddress(filter));
  if (filter.from) query.set('from', new Date(`${filter.from}T00:00`).toISOString());
  if (filter.to) {
    const end = new Date(`${filter.to}T00:00`);
    end.setDate(end.getDate() + 1);
    query.set('to', end.toISOString());
  }
  if (filter.trash) query.set('trash', 'true');
  return query;
}

export function isFiltered(filter: Filter): boolean {
  return filterAddress(filter) !== '';
}

/** The tags that have a word of the search, as a text whose parts say what matches. */
export function matchingTags(tags: readonly string[], q: string): Segment[] {
  const words = q.toLowerCase().split(/[^\p{L}\p{N}]+/u).filter((word) => word !== '');
  const found = tags.filter((tag) => words.some((word) => tag.toLowerCase().includes(word)));
  return found.flatMap((tag, place) => [...(place > 0 ? [{ text: ' · ', is_match: false }] : []), { text: tag, is_match: true }]);
}

function day(text: string | null): string {
  return text !== null && /^\d{4}-\d\d-\d\d$/.test(text) && !isNaN(Date.parse(text)) ? text : '';
}
