// The service worker has one task: the system's share sheet sends files as a form, and they are kept where the page finds its
// uploads. It sees no request of the page, which is out of its scope.

import { keep } from './lib/upload/kept';

/** What is used of a worker: TypeScript's library for workers contradicts the one for pages. */
declare const self: {
  skipWaiting(): Promise<void>;
  addEventListener(type: 'install', listener: () => void): void;
  addEventListener(type: 'fetch', listener: (event: { request: Request; respondWith(response: Promise<Response>): void }) => void): void;
};

self.addEventListener('install', () => void self.skipWaiting());

self.addEventListener('fetch', (event) => {
  if (event.request.method === 'POST') event.respondWith(take(event.request));
});

async function take(request: Request): Promise<Response> {
  try {
    const form = await request.formData();
    for (const file of form.getAll('files')) {
      if (file instanceof File) await keep({ id: crypto.randomUUID(), file, isOffered: true });
    }
    return Response.redirect('/', 303);
  } catch {
    return Response.redirect('/?offer=failed', 303);
  }
}
