//! The state of the router. Each handler extracts only the parts that it needs, through `FromRef`.

use std::sync::Arc;

use axum::extract::FromRef;
use sqlx::PgPool;

use super::{client::TrustedProxies, connections::Draining, upload::MaxUploadBytes};
use crate::{auth::Authenticator, ingest::Ingest, readiness::Readiness, storage::Storage};

/// Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    pub db: PgPool,
    pub storage: Arc<Storage>,
    pub ingest: Arc<Ingest>,
    pub authenticator: Arc<Authenticator>,
    pub readiness: Arc<Readiness>,
    pub draining: Draining,
    pub version: Version,
    pub trusted_proxies: TrustedProxies,
    pub max_upload_bytes: MaxUploadBytes,
}

/// The version of the running release.
#[derive(Clone)]
pub struct Version(pub Arc<str>);

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
    ingest: Arc<Ingest>,
    authenticator: Arc<Authenticator>,
    readiness: Arc<Readiness>,
    version: Version,
    trusted_proxies: TrustedProxies,
    max_upload_bytes: MaxUploadBytes,
}
