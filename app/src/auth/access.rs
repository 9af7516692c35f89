//! What the bearer of a token may do.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::account::Account;

/// The outcome of authentication.
#[derive(Clone, Debug)]
pub struct Access {
    pub account: Account,
    pub role: Role,
    pub scopes: BTreeSet<Scope>,
    /// The session of the token; `None` for an API key.
    pub session: Option<Session>,
}

/// Who began a session, and can end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// This service: the id of its row.
    Own(Uuid),
    /// Supabase. It has no row here.
    OfSupabase,
}

/// What an account may do beyond its own affairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Role {
    /// Also invites others, changes roles, deletes accounts and revokes shares of others.
    Admin,
    Member,
}

/// What a request may do with media. A session has all of them, an API key those that it was created with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// List and get.
    Read,
    /// Add.
    Upload,
    /// Change, delete and share.
    Manage,
}

impl Scope {
    pub const ALL: [Self; 3] = [Self::Read, Self::Upload, Self::Manage];

    /// As in JSON and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Upload => "upload",
            Self::Manage => "manage",
        }
    }
}
