//! Who sends a log-in: the client's address, and the cookie by which its device is known.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{
        HeaderMap, HeaderValue,
        header::{COOKIE, USER_AGENT},
        request::Parts,
    },
};
use secrecy::{ExposeSecret, SecretString};

use super::error::ApiError;
use crate::auth::Client;

const DEVICE_COOKIE: &str = "device";

const MAX_USER_AGENT_BYTES: usize = 256;

/// How many proxies in front of the service each add the address of their client to `X-Forwarded-For`.
#[derive(Clone, Copy)]
pub struct TrustedProxies(pub usize);

/// The address that a request's connection comes from; an extension of every request.
#[derive(Clone, Copy)]
pub struct Peer(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for Client
where
    TrustedProxies: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let peer = parts.extensions.get::<Peer>();
        let peer = peer.ok_or_else(|| ApiError::internal("the request has no address of its connection"))?.0;
        let user_agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(Self {
            address: address(&parts.headers, peer, TrustedProxies::from_ref(state)),
            device_token: device_token(&parts.headers),
            // Only ASCII, so it may be cut anywhere.
            user_agent: user_agent[..user_agent.len().min(MAX_USER_AGENT_BYTES)].to_owned(),
        })
    }
}

/// A cookie for the log-in route only, not readable by scripts.
pub fn device_cookie(token: &SecretString, headers: &HeaderMap) -> Result<HeaderValue, ApiError> {
    let https = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
    let secure = if https { "; Secure" } else { "" };
    let cookie = format!(
        "{DEVICE_COOKIE}={}; Path=/api/auth/login; Max-Age=31536000; HttpOnly; SameSite=Strict{secure}",
        token.expose_secret()
    );
    let mut value = HeaderValue::try_from(cookie).map_err(ApiError::internal)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Each proxy adds an entry at the end, and a client may send entries of its own: only the last ones can be trusted.
fn address(headers: &HeaderMap, peer: IpAddr, TrustedProxies(count): TrustedProxies) -> IpAddr {
    let values = headers.get_all("x-forwarded-for").iter().map(|value| value.to_str().unwrap_or_default());
    let entries: Vec<_> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    let trusted = &entries[entries.len().saturating_sub(count)..];
    trusted.first().and_then(|entry| parse_address(entry)).unwrap_or(peer)
}

/// Some proxies add the port.
fn parse_address(entry: &str) -> Option<IpAddr> {
    entry.parse().ok().or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

fn device_token(headers: &HeaderMap) -> Option<SecretString> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == DEVICE_COOKIE).map(|(_, token)| token.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_entries_of_trusted_proxies_count() {
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        let from = |values: &[&str], proxies| {
            let values = values.iter().map(|value| ("x-forwarded-for".parse().unwrap(), value.parse().unwrap()));
            address(&HeaderMap::from_iter(values), peer, TrustedProxies(proxies)).to_string()
        };
        assert_eq!(from(&["192.0.2.1"], 0), "10.0.0.1");
        assert_eq!(from(&[], 1), "10.0.0.1");
        assert_eq!(from(&["203.0.113.9, 192.0.2.1"], 1), "192.0.2.1");
        assert_eq!(from(&["203.0.113.9", "192.0.2.1,198.51.100.1"], 2), "192.0.2.1");
        assert_eq!(from(&["192.0.2.1"], 2), "192.0.2.1");
        assert_eq!(from(&["192.0.2.1:4711"], 1), "192.0.2.1");
        assert_eq!(from(&["[2001:db8::1]:4711"], 1), "2001:db8::1");
        assert_eq!(from(&["192.0.2.1, unknown"], 1), "10.0.0.1");
    }
}
