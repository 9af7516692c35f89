//! The state of the router. Each handler extracts only the parts that it needs, through `FromRef`.

use std::sync::Arc;

use axum::extract::FromRef;
use sqlx::PgPool;

use super::{
    client::TrustedProxies, connections::Draining, events::Events, pages::Pages, presigned::Presigned,
    upload::UploadLimits,
};
use crate::{
    auth::Authenticator, file_infos::FileInfos, ingest::Ingest, readiness::Readiness, resumable::ResumableUploads,
    storage::Storage, worker::Worker,
};

/// Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    pub db: PgPool,
    pub storage: Arc<Storage>,
    pub files: Arc<FileInfos>,
    pub ingest: Arc<Ingest>,
    pub worker: Arc<Worker>,
    pub authenticator: Arc<Authenticator>,
    pub readiness: Arc<Readiness>,
    pub events: Events,
    pub draining: Draining,
    pub version: Version,
    pub site: Site,
    pub resumable: ResumableUploads,
    pub trusted_proxies: TrustedProxies,
    pub upload_limits: UploadLimits,
    pub presigned: Presigned,
}

/// The version of the running release.
#[derive(Clone)]
pub struct Version(pub Arc<str>);

/// The web UI; `None` if the service has none.
#[derive(Clone)]
pub struct Site(pub Option<Arc<Pages>>);

macro_rules! from_ref {
    ($($field:ident: $part:ty,)*) => {
        $(impl FromRef<AppState> for $part {
            fn from_ref(state: &AppState) -> Self {
                state.$field.clone()
            }
        })*
    };
}

from_ref! {
    db: PgPool,
    storage: Arc<Storage>,
    files: Arc<FileInfos>,
    ingest: Arc<Ingest>,
    worker: Arc<Worker>,
    authenticator: Arc<Authenticator>,
    readiness: Arc<Readiness>,
    events: Events,
    version: Version,
    site: Site,
    resumable: ResumableUploads,
    trusted_proxies: TrustedProxies,
    upload_limits: UploadLimits,
    presigned: Presigned,
}
