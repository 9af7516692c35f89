//! Which token server may get the password for a registry. A registry names its token server itself, in the challenge of its
//! response, and that is not always where the user would send the password.

use reqwest::Url;

use super::http::is_loopback;

/// Registries whose token server is on a host of another name: theirs by their operators' documentation and practice. A `*`
/// stands for one label.
const KNOWN: [(&str, &str); 2] = [("registry-1.docker.io", "auth.docker.io"), ("rg.*.scw.cloud", "api.scaleway.com")];

/// Whether the password for a registry may be sent to a token server: one on the registry's host, on a host above or below it
/// (`registry.gitlab.com` and `gitlab.com`), on this machine as the registry is, one that is [`KNOWN`], or one that the user
/// has allowed by its host, with its port if the URL has one.
pub fn may_get_password(registry: &Url, token_server: &Url, allowed: Option<&str>) -> bool {
    if is_loopback(registry) && is_loopback(token_server) {
        return true;
    }
    let (Some(of_registry), Some(host)) = (registry.host_str(), token_server.host_str()) else { return false };
    if token_server.scheme() != "https" {
        return false;
    }
    let with_port = token_server.port().map(|port| format!("{host}:{port}"));
    of_registry == host
        || is_below(host, of_registry)
        || is_below(of_registry, host)
        || KNOWN.iter().any(|(known, its)| fits(known, of_registry) && *its == host)
        || allowed.is_some_and(|allowed| allowed == with_port.as_deref().unwrap_or(host))
}

/// Whether a name is in the domain `above`, which is no top-level domain.
fn is_below(name: &str, above: &str) -> bool {
    above.contains('.') && name.strip_suffix(above).is_some_and(|rest| rest.ends_with('.'))
}

fn fits(pattern: &str, host: &str) -> bool {
    let (mut pattern, mut host) = (pattern.split('.'), host.split('.'));
    pattern.by_ref().zip(host.by_ref()).all(|(wanted, label)| wanted == "*" || wanted == label)
        && pattern.next().is_none()
        && host.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(registry: &str, token_server: &str, allowed: Option<&str>) -> bool {
        may_get_password(&Url::parse(registry).unwrap(), &Url::parse(token_server).unwrap(), allowed)
    }

    #[test]
    fn the_password_goes_to_the_registrys_own_token_server_only() {
        for (registry, token_server) in [
            ("https://ghcr.io/v2/", "https://ghcr.io/token"),
            ("https://registry-1.docker.io/v2/", "https://auth.docker.io/token"),
            ("https://rg.fr-par.scw.cloud/v2/", "https://api.scaleway.com/registry-internal/v1/regions/fr-par/tokens"),
            ("https://registry.gitlab.com/v2/", "https://gitlab.com/jwt/auth"),
            ("https://example.org:5000/v2/", "https://auth.example.org/"),
            ("http://127.0.0.1:5000/v2/", "http://127.0.0.1:5001/token"),
            ("http://localhost:5000/v2/", "http://[::1]:5001/token"),
        ] {
            assert!(may(registry, token_server, None), "{registry} {token_server}");
        }
        for (registry, token_server) in [
            ("https://rg.example.org/v2/", "https://auth.docker.io/token"),
            ("https://rg.a.b.scw.cloud/v2/", "https://api.scaleway.com/"),
            ("https://rg.fr-par.scw.cloud.example.org/v2/", "https://api.scaleway.com/"),
            ("https://registry.example.org/v2/", "https://tokens.example.org/"),
            ("https://registry.example.org/v2/", "https://evilregistry.example.org/"),
            ("https://example.org/v2/", "https://org/"),
            ("https://registry.example.org/v2/", "http://registry.example.org/token"),
            ("https://registry.example.org/v2/", "https://127.0.0.1/token"),
            ("https://registry.example.org/v2/", "http://127.0.0.1/token"),
            ("http://127.0.0.1:5000/v2/", "https://registry.example.org/"),
            ("https://10.0.0.1/v2/", "https://0.0.1/"),
        ] {
            assert!(!may(registry, token_server, None), "{registry} {token_server}");
        }
    }

    #[test]
    fn the_user_can_allow_one_host() {
        let registry = "https://registry.example.org/v2/";
        assert!(may(registry, "https://tokens.example.org/", Some("tokens.example.org")));
        assert!(may(registry, "https://tokens.example.org:8443/", Some("tokens.example.org:8443")));
        assert!(!may(registry, "https://tokens.example.org:8443/", Some("tokens.example.org")));
        assert!(!may(registry, "http://tokens.example.org/", Some("tokens.example.org")));
    }
}
