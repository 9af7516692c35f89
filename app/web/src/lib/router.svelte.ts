const PAGES = ['trash', 'login', 'start', 'register', 'reset', 'password', 'settings', 'people', 'admin'] as const;

/** What a path shows. */
export type Route =
  | { name: 'gallery' | 'unknown' | (typeof PAGES)[number] }
  | { name: 'media'; id: string }
  | { name: 'shared'; token: string };

export function parseRoute(path: string): Route {
  const [first = '', second, ...rest] = path.split('/').slice(1);
  if (first === 'm' && second && rest.length === 0) return { name: 'media', id: second };
  if (first === 's' && second && rest.length === 0) return { name: 'shared', token: second };
  if (second !== undefined) return { name: 'unknown' };
  if (first === '') return { name: 'gallery' };
  const page = PAGES.find((name) => name === first);
  return { name: page ?? 'unknown' };
}

/** The token of a link, and what it is for: the first account, or that of a guest of an administrator. */
export interface LinkToken {
  by: 'bootstrap' | 'invite';
  token: string;
}

/** What a link in a mail of Supabase has led to: a session, or the code of the reason why there is none. */
export interface AuthLink {
  tokens: { access_token: string; refresh_token: string } | null;
  error: string | null;
  /** `signup`, `recovery`, `invite` and others. */
  type: string;
}

class Router {
  url = $state.raw(new URL(location.href));
  route = $derived(parseRoute(this.url.pathname));
  linkToken = $state.raw<LinkToken | null>(null);
  #authLink: AuthLink | null = null;

  constructor() {
    this.#authLink = parseAuthLink(location.hash);
    if (this.#authLink) history.replaceState(history.state, '', location.pathname);
    this.#arrive();
    addEventListener('popstate', () => {
      // The page begins anew, with another session.
      if (parseAuthLink(location.hash)) location.reload();
      else this.#arrive();
    });
    document.addEventListener('click', (event) => this.#follow(event));
  }

  /** The link of a mail that the page was opened by; once. */
  takeAuthLink(): AuthLink | null {
    const link = this.#authLink;
    this.#authLink = null;
    return link;
  }

  go(path: string, how: 'push' | 'replace' = 'push'): void {
    const url = new URL(path, location.origin);
    if (url.href === this.url.href) return;
    // Tells `back` whether the page before is one of the app's.
    const depth = this.#depth() + (how === 'push' ? 1 : 0);
    history[how === 'push' ? 'pushState' : 'replaceState']({ depth }, '', url);
    this.url = url;
  }

  /** Goes to the page before, or to `otherwise` if that is not one of the app's. */
  back(otherwise: string): void {
    if (this.#depth() > 0) history.back();
    else this.go(otherwise, 'replace');
  }

  /** Takes the token of a link out of the address. It is in the fragment, which a browser does not send. */
  #arrive(): void {
    const fragment = new URLSearchParams(location.hash.slice(1));
    for (const by of ['bootstrap', 'invite'] as const) {
      const token = fragment.get(by);
      if (!token) continue;
      this.linkToken = { by, token };
      history.replaceState(history.state, '', by === 'bootstrap' ? '/start' : '/register');
    }
    this.url = new URL(location.href);
  }

  #depth(): number {
    return (history.state as { depth?: number } | null)?.depth ?? 0;
  }

  /** Follows a link within the app without loading the page anew. */
  #follow(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
    if (link.pathname.startsWith('/api/')) return;
    event.preventDefault();
    this.go(link.pathname + link.search + link.hash);
  }
}

function parseAuthLink(hash: string): AuthLink | null {
  const fragment = new URLSearchParams(hash.slice(1));
  const [access_token, refresh_token, error] = ['access_token', 'refresh_token', 'error'].map((name) => fragment.get(name));
  const type = fragment.get('type') ?? '';
  if (access_token && refresh_token) return { tokens: { access_token, refresh_token }, error: null, type };
  return error ? { tokens: null, error: fragment.get('error_code') ?? error, type } : null;
}

export const router = new Router();
