// Short names for the shapes of the service's description.

import type { components } from './schema';

type Schemas = components['schemas'];

export type Role = Schemas['Role'];
export type Scope = Schemas['Scope'];
export type Bootstrap = Schemas['BootstrapResponse'];
/** The project at Supabase that keeps the accounts. */
export type Project = Schemas['SupabaseResponse'];
export type NewAccount = Schemas['RegisterRequest'];
export type Token = Schemas['TokenResponse'];
export type Me = Schemas['MeResponse'];
export type Media = Schemas['MediaResponse'];
export type Item = Schemas['ItemResponse'];
export type Segment = Schemas['Segment'];
export type Page = Schemas['PageResponse'];
export type Facets = Schemas['Facets'];
export type TagList = Schemas['TagsResponse'];
export type Timeline = Schemas['TimelineResponse'];
export type Month = Schemas['MonthResponse'];
export type BulkAction = Schemas['BulkAction'];
export type BulkRequest = Schemas['BulkRequest'];
export type Change = Schemas['ChangeRequest'];
export type UploadRequest = Schemas['BeginRequest'];
export type BegunUpload = Schemas['BegunResponse'];
export type PartUrls = Schemas['PartUrlsResponse'];
export type UploadedPart = Schemas['PartResponse'];
export type UploadStatus = Schemas['StatusResponse2'];
export type Invite = Schemas['InviteResponse'];
export type NewInvite = Schemas['NewInviteResponse'];
export type ApiKey = Schemas['ApiKeyResponse'];
export type ApiKeyRequest = Schemas['ApiKeyRequest'];
export type NewApiKey = Schemas['NewApiKeyResponse'];
export type Session = Schemas['SessionResponse'];
export type Share = Schemas['ShareResponse'];
export type ShareRequest = Schemas['ShareRequest'];
export type NewShare = Schemas['NewShareResponse'];
export type Shared = Schemas['SharedResponse'];
export type Account = Schemas['AccountResponse'];
export type ServiceStatus = Schemas['StatusResponse'];
export type Queue = Schemas['QueueResponse'];
export type Usage = Schemas['UsageResponse'];
export type Failure = Schemas['FailureResponse'];
export type Failures = Schemas['FailuresResponse'];

/** What the viewer's stage shows: of a media, or of an item of a share. */
export type Shown = Pick<Media, keyof Schemas['SharedItemResponse']>;
