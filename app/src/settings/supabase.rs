//! Who keeps the accounts: the service, or a project at Supabase.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hyper::Uri;
use secrecy::SecretString;
use serde::Deserialize;

use super::{
    registry::{Kind, Registry},
    secret, switch,
};

/// The project that keeps the accounts.
#[derive(Clone)]
pub struct SupabaseSettings {
    /// Its address, without a slash at its end.
    pub url: String,
    /// By which browsers use it; every visitor gets it.
    pub publishable_key: String,
    /// That of a project which still signs with HS256.
    pub jwt_secret: Option<SecretString>,
    /// Whether those may come in who have given no address of mail.
    pub anonymous: bool,
}

/// `None` if the service keeps the accounts.
pub(super) fn supabase(registry: &mut Registry) -> Option<Option<SupabaseSettings>> {
    let mode = registry
        .setting(
            "AUTH_MODE",
            Kind::Choice(&["accounts", "supabase"]),
            "Who keeps the accounts: accounts (the service) or supabase (a project there, whose log-in tokens are verified)",
        )
        .or("accounts", |text| match text {
            "accounts" => Ok(false),
            "supabase" => Ok(true),
            _ => Err("accounts or supabase"),
        });
    let url = registry
        .setting("SUPABASE_URL", Kind::Url, "Address of the Supabase project, such as https://abc.supabase.co")
        .required_if(mode == Some(true), "AUTH_MODE is supabase", |text| {
            origin(text).ok_or("a URL without a path, such as https://abc.supabase.co")
        });
    let publishable_key = registry
        .setting(
            "SUPABASE_PUBLISHABLE_KEY",
            Kind::Text,
            "Publishable key of the Supabase project (sb_publishable_…), or its legacy anon key; every visitor of the web UI gets it",
        )
        .required_if(mode == Some(true), "AUTH_MODE is supabase", |text| {
            let is_public = is_publishable(text);
            is_public.then(|| text.to_owned()).ok_or("a key that begins with sb_publishable_, or the legacy key anon")
        });
    let jwt_secret = registry
        .setting(
            "SUPABASE_JWT_SECRET",
            Kind::Text,
            "Legacy JWT secret of a Supabase project that has no signing keys; with it, tokens signed in any other way are refused",
        )
        .secret()
        .optional(secret);
    let anonymous = registry
        .setting(
            "SUPABASE_ANONYMOUS",
            Kind::Choice(&["on", "off"]),
            "on: Supabase's anonymous users may use the service; off: they are refused",
        )
        .or("off", switch);
    let (mode, url, publishable_key) = (mode?, url?, publishable_key?);
    let (jwt_secret, anonymous) = (jwt_secret?, anonymous?);
    let project = url.zip(publishable_key).filter(|_| mode);
    Some(project.map(|(url, publishable_key)| SupabaseSettings { url, publishable_key, jwt_secret, anonymous }))
}

/// A URL that is an origin, without a slash at its end. It becomes a part of the pages' policy, so it has no other characters than a host.
fn origin(text: &str) -> Option<String> {
    let uri: Uri = text.parse().ok()?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let is_host = uri.authority()?.as_str().chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c));
    // A fragment is cut off when it is parsed.
    let is_origin = is_http && is_host && uri.path() == "/" && uri.query().is_none() && !text.contains('#');
    is_origin.then(|| text.trim_end_matches('/').to_owned())
}

/// Whether a key is one for browsers: a secret one must never get there.
fn is_publishable(key: &str) -> bool {
    #[derive(Deserialize)]
    struct Claims {
        role: String,
    }
    if let Some(rest) = key.strip_prefix("sb_publishable_") {
        return !rest.is_empty() && rest.chars().all(|c| c.is_ascii_graphic());
    }
    let payload = key.split('.').nth(1).and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
    let claims = payload.and_then(|payload| serde_json::from_slice::<Claims>(&payload).ok());
    claims.is_some_and(|claims| claims.role == "anon")
}
