//! What a program inherits of this process's environment. That of a deploy has keys of clouds, tokens and passphrases, and a program
//! passes on what it has: to hooks, helpers and build scripts, and to every reader of its `/proc` entry.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::secrets::{has_password, is_secret_name};

/// Variables that name another repository than the one of the working directory, and its configuration: what
/// `git rev-parse --local-env-vars` lists. git sets them for the hooks that it runs. No program inherits them: git, and programs
/// that run git, would read and write that repository.
pub const REPOSITORY_VARIABLES: [&str; 16] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// The user, the language, the terminal, where files go, and how the network is reached. A `*` stands for any end.
const BASE: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TERM",
    "TMPDIR",
    "XDG_*",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// git's configuration, and what it needs to fetch the objects that a partial clone lacks.
const GIT: &[&str] = &[
    "GIT_ALLOW_PROTOCOL",
    "GIT_ASKPASS",
    "GIT_CEILING_DIRECTORIES",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_EXEC_PATH",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_TERMINAL_PROMPT",
    "GIT_TRACE*",
    "SSH_ASKPASS",
    "SSH_ASKPASS_REQUIRE",
    "SSH_AUTH_SOCK",
];

/// Where Go keeps and gets modules.
const GO: &[&str] = &[
    "GOCACHE",
    "GOENV",
    "GOFLAGS",
    "GOINSECURE",
    "GOMODCACHE",
    "GONOPROXY",
    "GONOSUMDB",
    "GOPATH",
    "GOPRIVATE",
    "GOPROXY",
    "GOROOT",
    "GOSUMDB",
    "GOTOOLCHAIN",
];

/// Which engine Docker's own client speaks to.
const DOCKER: &[&str] = &["BUILDKIT_*", "BUILDX_*", "DOCKER_*"];

/// The tokens of private registries that cargo and npm fetch packages from.
const CARGO: &[&str] = &["CARGO_REGISTRIES_*"];
const NPM: &[&str] = &["NODE_AUTH_TOKEN", "NPM_TOKEN"];

/// Credentials and settings of clouds, of registries, of OpenTofu and of CI.
const CREDENTIALS: &[&str] =
    &["ACTIONS_*", "AWS_*", "AZURE_*", "CLOUDFLARE_*", "GOOGLE_*", "REGISTRY_*", "SCW_*", "TF_*", "VAULT_*"];

/// Which variables a program inherits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inherited {
    /// Nothing: for a program whose whole environment its caller sets.
    Nothing,
    /// `PATH` only: for a program that runs as another user.
    Path,
    /// The base, and these: what the program is known to need.
    Named(&'static [&'static str]),
    /// Everything but what looks like a secret, and these: for a build. Build scripts need variables that only their packages
    /// know (`OPENSSL_DIR`, `LIBCLANG_PATH`, `SQLX_OFFLINE`), so there is no list of names that would do.
    Build(&'static [&'static str]),
    /// Everything: for a program whose task is the caller's credentials, or that is the toolkit or its tests.
    All,
}

impl Inherited {
    /// What the program of this name or path inherits if its caller says nothing else.
    pub fn of(program: &str) -> Self {
        match Path::new(program).file_name().and_then(OsStr::to_str).unwrap_or(program) {
            "cargo" => Self::Build(CARGO),
            "npm" => Self::Build(NPM),
            "git" => Self::Named(GIT),
            "go" => Self::Named(GO),
            "docker" => Self::Named(DOCKER),
            // Of the cloud whose registry it is for: those keys may be in the environment.
            helper if helper.starts_with("docker-credential-") => Self::All,
            _ => Self::Named(&[]),
        }
    }

    /// The variables of this process that a program inherits.
    pub fn variables(self) -> impl Iterator<Item = (OsString, OsString)> {
        std::env::vars_os().filter(move |(name, value)| name.to_str().is_some_and(|name| self.has(name, value)))
    }

    fn has(self, name: &str, value: &OsStr) -> bool {
        if REPOSITORY_VARIABLES.contains(&name) {
            return false;
        }
        match self {
            Self::Nothing => false,
            Self::Path => name == "PATH",
            Self::Named(names) => is_in(BASE, name) || is_in(names, name),
            Self::Build(names) => is_in(BASE, name) || is_in(names, name) || !looks_secret(name, value),
            Self::All => true,
        }
    }
}

fn is_in(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| match known.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => name == *known,
    })
}

fn looks_secret(name: &str, value: &OsStr) -> bool {
    is_in(CREDENTIALS, name) || is_secret_name(name) || value.to_str().is_some_and(has_password)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inherits(program: &str, name: &str, value: &str) -> bool {
        Inherited::of(program).has(name, OsStr::new(value))
    }

    #[test]
    fn programs_inherit_what_they_are_known_to_need() {
        for program in ["git", "id", "/usr/bin/ps", "apt-get", "initdb"] {
            for name in ["PATH", "HOME", "LC_ALL", "https_proxy", "XDG_CACHE_HOME", "SSL_CERT_FILE"] {
                assert!(inherits(program, name, "http://user:password@proxy"), "{program} {name}");
            }
            for name in ["AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "TF_STATE_PASSPHRASE", "DATABASE_URL", "GIT_DIR", "X"]
            {
                assert!(!inherits(program, name, "x"), "{program} {name}");
            }
        }
        assert!(inherits("git", "SSH_AUTH_SOCK", "x") && !inherits("id", "SSH_AUTH_SOCK", "x"));
        assert!(inherits("docker-credential-ecr-login", "AWS_SECRET_ACCESS_KEY", "x"));
        assert!(!Inherited::Path.has("HOME", OsStr::new("x")) && Inherited::Path.has("PATH", OsStr::new("x")));
        assert!(!Inherited::All.has("GIT_DIR", OsStr::new("x")));
    }

    #[test]
    fn a_build_inherits_everything_that_is_no_secret() {
        for (name, value) in [
            ("OPENSSL_DIR", "/opt/openssl"),
            ("LIBCLANG_PATH", "/usr/lib"),
            ("SQLX_OFFLINE", "true"),
            ("RUSTFLAGS", "-C target-cpu=native"),
            ("PKG_CONFIG_PATH", "/opt/lib"),
            ("PWD", "/work"),
            ("SSH_AUTH_SOCK", "/run/agent"),
            ("DATABASE_URL", "postgres://localhost/shop"),
            ("HTTPS_PROXY", "http://user:password@proxy:3128"),
            ("MONKEY_KEYBOARD", "x"),
        ] {
            assert!(inherits("/home/a/.cargo/bin/cargo", name, value) && inherits("npm", name, value), "{name}");
        }
        for (name, value) in [
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("AWS_PROFILE", "x"),
            ("TF_VAR_secrets", "x"),
            ("GITHUB_TOKEN", "x"),
            ("CARGO_REGISTRY_TOKEN", "x"),
            ("STRIPE_API_KEY", "x"),
            ("smtp_password", "x"),
            ("DATABASE_URL", "postgres://shop:hunter22@localhost/shop"),
            ("GIT_INDEX_FILE", "x"),
        ] {
            assert!(!inherits("cargo", name, value) && !inherits("npm", name, value), "{name}");
        }
        // Without these the packages of a private registry cannot be fetched.
        assert!(inherits("cargo", "CARGO_REGISTRIES_INTERNAL_TOKEN", "x") && inherits("npm", "NPM_TOKEN", "x"));
        assert!(!inherits("npm", "CARGO_REGISTRIES_INTERNAL_TOKEN", "x") && !inherits("cargo", "NPM_TOKEN", "x"));
    }
}
