//! The gate of every protected route: extractors for what a route needs.
//!
//! A missing or invalid token is answered with 401 `unauthorized`, a valid one that does not allow the request with 403
//! `forbidden`.

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};

use super::{
    error::ApiError,
    openapi::{Input, Operation},
};
use crate::{
    auth::{Access, Account, Authenticator, Role, Scope, Session},
    error_code::ErrorCode,
};

/// A session or an API key with the scope `read`.
pub struct Reader;

/// A session or an API key with the scope `upload`.
pub struct Uploader(pub Access);

/// A session or an API key with the scope `manage`.
pub struct Manager(pub Access);

/// A session. Accounts are managed by their users only: an API key that could make another would outlive its revocation.
pub struct SignedIn {
    pub account: Account,
    pub session: Session,
}

/// A session of an admin.
pub struct Admin {
    pub account: Account,
}

impl Input for Access {
    fn describe(operation: &mut Operation<'_>) {
        operation.allow("session", &[]);
        operation.allow("api_key", &[]);
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Access
where
    Arc<Authenticator>: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let token = bearer_token(&parts.headers).ok_or_else(ApiError::unauthorized)?;
        let access = Arc::<Authenticator>::from_ref(state).authenticate(token).await?;
        access.ok_or_else(ApiError::unauthorized)
    }
}

/// Extracts `$extractor` from the `$access` of the request.
/// `$allowed` are the tokens that the description names: a security scheme each, and the scopes or roles that it needs.
macro_rules! from_access {
    ($extractor:ident, $allowed:expr, $access:ident => $result:expr) => {
        impl Input for $extractor {
            fn describe(operation: &mut Operation<'_>) {
                $allowed.into_iter().for_each(|(scheme, needs)| operation.allow(scheme, needs));
                operation.errors(&[ErrorCode::Forbidden]);
            }
        }

        impl<S: Send + Sync> FromRequestParts<S> for $extractor
        where
            Arc<Authenticator>: FromRef<S>,
        {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
                let $access = Access::from_request_parts(parts, state).await?;
                $result
            }
        }
    };
}

from_access!(Reader, [("session", &[][..]), ("api_key", &["read"])], access => require(&access, Scope::Read).map(|()| Self));
from_access!(Uploader, [("session", &[][..]), ("api_key", &["upload"])], access => require(&access, Scope::Upload).map(|()| Self(access)));
from_access!(Manager, [("session", &[][..]), ("api_key", &["manage"])], access => require(&access, Scope::Manage).map(|()| Self(access)));
from_access!(SignedIn, [("session", &[][..])], access => match access.session {
    Some(session) => Ok(Self { account: access.account, session }),
    None => Err(ApiError::forbidden("an API key does not allow this; log in")),
});
from_access!(Admin, [("session", &["admin"][..])], access => match (access.session, access.role) {
    (Some(_), Role::Admin) => Ok(Self { account: access.account }),
    _ => Err(ApiError::forbidden("only an admin who is logged in may do this")),
});

fn require(access: &Access, scope: Scope) -> Result<(), ApiError> {
    let missing = || ApiError::forbidden(format!("this API key does not have the scope {}", scope.name()));
    access.scopes.contains(&scope).then_some(()).ok_or_else(missing)
}

/// The bearer token of the request, if it has one.
pub fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
