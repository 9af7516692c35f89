//! Who keeps the accounts: the service, or a project at Supabase.

use hyper::Uri;
use secrecy::SecretString;

use super::{
    registry::{Kind, Registry},
    secret, switch,
};

/// The project that keeps the accounts.
#[derive(Clone)]
pub struct SupabaseSettings {
    /// Its address, without a slash at its end.
    pub url: String,
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
        .required_if(mode == Some(true), "AUTH_MODE is supabase", |text| match text.parse::<Uri>() {
            Ok(uri)
                if matches!(uri.scheme_str(), Some("http" | "https"))
                    && uri.host().is_some()
                    && uri.path() == "/"
                    && uri.query().is_none() =>
            {
                Ok(text.trim_end_matches('/').to_owned())
            }
            _ => Err("a URL without a path, such as https://abc.supabase.co"),
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
    let (mode, url, jwt_secret, anonymous) = (mode?, url?, jwt_secret?, anonymous?);
    Some(url.filter(|_| mode).map(|url| SupabaseSettings { url, jwt_secret, anonymous }))
}
