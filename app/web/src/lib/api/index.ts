// The service's API: a function for each route that the UI uses.

import type {
  Account,
  ApiKey,
  ApiKeyRequest,
  BegunUpload,
  Bootstrap,
  BulkAction,
  BulkRequest,
  Change,
  Facets,
  Failures,
  Invite,
  Me,
  Media,
  NewAccount,
  NewApiKey,
  NewInvite,
  NewShare,
  Page,
  PartUrls,
  Role,
  ServiceStatus,
  Session,
  Share,
  ShareRequest,
  Shared,
  TagList,
  Timeline,
  Token,
  UploadedPart,
  UploadRequest,
  UploadStatus,
  Usage,
} from './types';
import { request, requestJson } from './request';

export { ApiError, isAbort, mayPass } from './request';
export type * from './types';

interface List<T> {
  items: T[];
}

export const auth = {
  login: (username: string, password: string) =>
    requestJson<Token>('POST', '/api/auth/login', { body: { username, password } }),
  bootstrap: () => requestJson<Bootstrap>('GET', '/api/auth/bootstrap', { token: '' }),
  register: (account: NewAccount) =>
    requestJson<Token>('POST', '/api/auth/register', { body: account }),
  logout: () => request('POST', '/api/auth/logout'),
  changePassword: (old_password: string, new_password: string) =>
    request('POST', '/api/auth/password', { body: { old_password, new_password } }),
  me: () => requestJson<Me>('GET', '/api/auth/me'),
};

export const media = {
  list: (query: URLSearchParams, signal?: AbortSignal) =>
    requestJson<Page>('GET', `/api/media?${query}`, { signal }),
  facets: (query: URLSearchParams, signal?: AbortSignal) =>
    requestJson<Facets>('GET', `/api/media/facets?${query}`, { signal }),
  timeline: (query: URLSearchParams, signal?: AbortSignal) =>
    requestJson<Timeline>('GET', `/api/media/timeline?${query}`, { signal }),
  /** Those that have a text. */
  tags: (text: string, signal?: AbortSignal) =>
    requestJson<TagList>('GET', `/api/media/tags?${new URLSearchParams({ q: text })}`, { signal }),
  get: (id: string, signal?: AbortSignal) => requestJson<Media>('GET', `/api/media/${id}`, { signal }),
  /** Fails with `other_version` if another user changed it since `version`. */
  change: (id: string, version: number, change: Change) =>
    requestJson<Media>('PATCH', `/api/media/${id}`, { body: change, headers: { 'if-match': `"${version}"` } }),
  delete: (id: string) => request('DELETE', `/api/media/${id}`),
  deleteForEver: (id: string) => request('DELETE', `/api/media/${id}?permanent=true`),
  restore: (id: string) => requestJson<Media>('POST', `/api/media/${id}/restore`),
  makeThumbnails: (id: string) => request('POST', `/api/media/${id}/thumbnails`),
  recogniseText: (id: string) => request('POST', `/api/media/${id}/ocr`),
  original: async (id: string) => (await request('GET', `/api/media/${id}/original`)).blob(),
  replace: (id: string, version: number, file: File) => {
    const body = new FormData();
    body.set('file', file);
    return requestJson<Media>('PUT', `/api/media/${id}/file`, { body, headers: { 'if-match': `"${version}"` } });
  },
  bulk,
};

/** Changes any number of media. Returns the ids of those that were changed. */
async function bulk(action: BulkAction, ids: string[], tags: string[] = []): Promise<string[]> {
  const most = 1000;
  const changed: string[] = [];
  for (let start = 0; start < ids.length; start += most) {
    const body: BulkRequest = { ids: ids.slice(start, start + most), action, tags };
    changed.push(...(await requestJson<{ changed: string[] }>('POST', '/api/media/bulk', { body })).changed);
  }
  return changed;
}

/** Uploads past the service, in parts to the store. */
export const uploads = {
  begin: (upload: UploadRequest) => requestJson<BegunUpload>('POST', '/api/image/v1/upload/multipart', { body: upload }),
  parts: (id: string) => requestJson<List<UploadedPart>>('GET', `/api/image/v1/upload/${id}/parts`),
  sign: (id: string, part_numbers: number[], signal?: AbortSignal) =>
    requestJson<PartUrls>('POST', `/api/image/v1/upload/${id}/parts`, { body: { part_numbers }, signal }),
  complete: (id: string) => requestJson<UploadStatus>('POST', `/api/image/v1/upload/${id}/complete`),
  /** Waits for so many seconds until it is no longer pending. A browser has six connections to a service, so it is not to wait for long. */
  status: (id: string, wait: number, signal?: AbortSignal) =>
    requestJson<UploadStatus>('GET', `/api/image/v1/upload/${id}?wait=${wait}`, { signal }),
  cancel: (id: string) => request('DELETE', `/api/image/v1/upload/${id}`),
};

export const invites = {
  list: () => requestJson<List<Invite>>('GET', '/api/invites'),
  create: (role: Role, lifetime_days: number) =>
    requestJson<NewInvite>('POST', '/api/invites', { body: { role, lifetime_days } }),
  revoke: (id: string) => request('DELETE', `/api/invites/${id}`),
};

export const apiKeys = {
  list: () => requestJson<List<ApiKey>>('GET', '/api/api-keys'),
  create: (key: ApiKeyRequest) =>
    requestJson<NewApiKey>('POST', '/api/api-keys', { body: key }),
  revoke: (id: string) => request('DELETE', `/api/api-keys/${id}`),
};

export const sessions = {
  list: () => requestJson<List<Session>>('GET', '/api/sessions'),
  end: (id: string) => request('DELETE', `/api/sessions/${id}`),
};

export const shares = {
  list: () => requestJson<List<Share>>('GET', '/api/shares'),
  create: (share: ShareRequest) =>
    requestJson<NewShare>('POST', '/api/shares', { body: share }),
  revoke: (id: string) => request('DELETE', `/api/shares/${id}`),
};

/** What guests may ask for, with the token of a link and, if the share has a password, the token that opening it gave. */
export const shared = {
  get: (share: string, guest: string | undefined) =>
    requestJson<Shared>('GET', `/api/shared/${share}`, { token: guest ?? '' }),
  open: (share: string, password: string) =>
    requestJson<Token>('POST', `/api/shared/${share}/session`, { body: { password }, token: '' }),
};

export const accounts = {
  list: () => requestJson<List<Account>>('GET', '/api/accounts'),
  setRole: (id: string, role: Role) => requestJson<Account>('PATCH', `/api/accounts/${id}`, { body: { role } }),
  delete: (id: string) => request('DELETE', `/api/accounts/${id}`),
};

/** The state of the service, for administrators. */
export const admin = {
  status: () => requestJson<ServiceStatus>('GET', '/api/admin/status'),
  storage: () => requestJson<List<Usage>>('GET', '/api/admin/storage'),
  failures: () => requestJson<Failures>('GET', '/api/admin/failures'),
  retryAll: () => requestJson<{ retried: number }>('POST', '/api/admin/failures/retry'),
};
