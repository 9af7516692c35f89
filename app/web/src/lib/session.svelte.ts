import type { Me, Media, Token } from './api/types';

const KEY = 'session';

/** Who is signed in. Other tabs of the browser follow. */
class Session {
  token = $state(read());
  me = $state.raw<Me | null>(null);
  /** Whether it ended without the user asking for it. */
  expired = $state(false);

  constructor() {
    addEventListener('storage', (event) => {
      if (event.key !== KEY) return;
      this.me = null;
      this.token = read();
    });
  }

  get isAdmin(): boolean {
    return this.me?.role === 'admin';
  }

  /** Whether the user may have the file as it was received, and replace it: its uploader and admins. */
  owns(media: Media): boolean {
    return this.isAdmin || this.me?.username === media.uploader;
  }

  start({ token, expires_at }: Token): void {
    localStorage.setItem(KEY, JSON.stringify({ token, expires_at }));
    this.me = null;
    this.expired = false;
    this.token = token;
  }

  end(): void {
    localStorage.removeItem(KEY);
    this.token = null;
    this.me = null;
  }

  expire(): void {
    this.end();
    this.expired = true;
  }
}

function read(): string | null {
  try {
    const { token, expires_at } = JSON.parse(localStorage.getItem(KEY) ?? '') as Token;
    return new Date(expires_at) > new Date() ? token : null;
  } catch {
    return null;
  }
}

export const session = new Session();
