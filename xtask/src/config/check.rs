//! The formats of values. A name that becomes an argument of another program must not look like an option.

use camino::{Utf8Component, Utf8Path};

/// A label of a host name (RFC 1123) that begins with a letter, in lower case.
pub(super) fn is_label(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// The name of a cargo package or of a binary in it.
pub(super) fn is_cargo_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// The name of a Debian package (Debian policy 5.6.1). apt-get removes a package whose name it gets with a `-` at the end.
pub(super) fn is_debian_package(text: &str) -> bool {
    text.len() >= 2
        && !text.ends_with('-')
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
}

/// The name of a command that is looked for in `PATH`.
pub(super) fn is_command(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_'))
}

/// A program: a command that is looked for in `PATH`, or a path inside the project.
pub(super) fn is_program(text: &str) -> bool {
    is_command(text) || (text.contains('/') && is_inside(text))
}

/// An argument of the service's own binary.
pub(super) fn is_argument(text: &str) -> bool {
    !text.is_empty() && !text.contains('\0')
}

/// The name of a branch. Checks a part of git-check-ref-format(1), and refuses what begins an expression or is a pattern in a workflow.
pub(super) fn is_branch(text: &str) -> bool {
    let allowed = |c: char| !c.is_control() && !c.is_whitespace() && !"~^:\\${}*?[]+!".contains(c);
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    !text.starts_with('-')
        && !text.ends_with('.')
        && !text.contains("..")
        && text.chars().all(allowed)
        && text.split('/').all(part)
}

/// A repository at GitHub: `owner/name`, of the characters that GitHub allows in both.
pub fn is_github_repository(text: &str) -> bool {
    let part = |part: &str, others: &[char]| {
        !part.is_empty()
            && part.len() <= 100
            && part.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(&c))
            && !part.chars().all(|c| c == '.')
            && !part.starts_with('-')
    };
    text.split_once('/').is_some_and(|(owner, name)| part(owner, &['-', '_']) && part(name, &['-', '_', '.']))
}

/// Who approves a deployment: a login, or `org/team`.
pub(super) fn is_reviewer(text: &str) -> bool {
    match text.contains('/') {
        true => is_github_repository(text),
        false => {
            !text.is_empty()
                && text.len() <= 100
                && !text.starts_with('-')
                && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        }
    }
}

/// The file of a workflow of GitHub Actions.
pub(super) fn is_workflow(text: &str) -> bool {
    let name = text
        .strip_prefix(".github/workflows/")
        .and_then(|name| name.strip_suffix(".yml").or(name.strip_suffix(".yaml")));
    let character = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.is_some_and(|name| !name.is_empty() && name.chars().all(character))
}

/// The issuer of tokens, as it names itself.
pub(super) fn is_issuer(text: &str) -> bool {
    text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_graphic()))
}

/// The name of a check or of a commit's status: one line.
pub(super) fn is_check_name(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= 255 && !text.contains(|c: char| c.is_control())
}

/// The path of a URL, without query and fragment.
pub(super) fn is_url_path(text: &str) -> bool {
    text.starts_with('/')
        && !text.starts_with("//")
        && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '\\'))
}

/// A path, `#`, a name, `=` and a variable in braces, of characters that mean nothing to a shell or to `sed`.
pub(super) fn is_first_visit(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    let secret = |text: &str| text.strip_prefix('{')?.strip_suffix('}').map(is_variable);
    let Some((page, (name, value))) =
        text.split_once('#').and_then(|(page, fragment)| Some((page, fragment.split_once('=')?)))
    else {
        return false;
    };
    is_url_path(page)
        && [page, name].iter().all(|part| part.chars().all(is_plain) && !part.is_empty())
        && secret(value) == Some(true)
}

/// A relative path that stays inside its folder.
pub(super) fn is_inside(text: &str) -> bool {
    let inside = |part| matches!(part, Utf8Component::Normal(_) | Utf8Component::CurDir);
    !text.is_empty() && !text.contains(['\0', '\\']) && Utf8Path::new(text).components().all(inside)
}

/// The name of an environment variable, in upper case.
pub(super) fn is_variable(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// A host name (RFC 1123) that can have a CNAME record. So it is below a zone, and a zone has two labels or more.
pub(super) fn is_domain(text: &str) -> bool {
    is_host_name(text) && text.split('.').count() >= 3
}

/// A host name (RFC 1123) of two labels or more.
pub(super) fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    // A name whose last label is a number is an IP address.
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253
        && text.split('.').count() >= 2
        && text.split('.').all(label)
        && last.starts_with(|c: char| c.is_ascii_lowercase())
}

/// The name of a repository in a registry (OCI distribution specification 1.1, "Pulling manifests").
pub(super) fn is_repository(text: &str) -> bool {
    let part = |part: &str| {
        let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        part.starts_with(alphanumeric)
            && part.ends_with(alphanumeric)
            && part.chars().all(|c| alphanumeric(c) || matches!(c, '.' | '_' | '-'))
    };
    text.len() <= 200 && text.split('/').all(part)
}

/// A registry: a host, an optional port, and an optional namespace.
pub(super) fn is_registry(text: &str) -> bool {
    let (host, namespace) = text.split_once('/').map_or((text, None), |(host, path)| (host, Some(path)));
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    // Any other first part of an image's name is a namespace of Docker Hub.
    (name.contains('.') || port.is_some() || name == "localhost")
        && name.split('.').all(label)
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
        && namespace.is_none_or(is_repository)
}

/// An image as `[registry/]repository:tag`.
pub(super) fn is_tagged_image(text: &str) -> bool {
    let Some((name, tag)) = text.rsplit_once(':') else { return false };
    let in_registry = name.split_once('/').is_some_and(|(host, path)| is_registry(host) && is_repository(path));
    let tag_character = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (is_repository(name) || in_registry)
        && tag.len() <= 128
        && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && tag.chars().all(tag_character)
}

/// The name of a bucket that every S3 service accepts.
pub(super) fn is_bucket(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (3..=63).contains(&text.len())
        && text.starts_with(alphanumeric)
        && text.ends_with(alphanumeric)
        && !text.contains("..")
        && text.chars().all(|c| alphanumeric(c) || matches!(c, '-' | '.'))
}

/// The label of a runner of GitHub Actions.
pub(super) fn is_runner(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// The id of a job of GitHub Actions. YAML takes three words for other values than texts.
pub(super) fn is_job(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        && !["null", "true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// A schedule of GitHub Actions: minute, hour, day, month, day of the week.
pub(super) fn is_schedule(text: &str) -> bool {
    let field = |field: &str| field.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '*' | ',' | '-' | '/'));
    text.split(' ').filter(|part| !part.is_empty() && field(part)).count() == 5 && text.split(' ').count() == 5
}

/// A region of an S3 service.
pub(super) fn is_region(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// The names of this machine in an URL, without a port.
pub fn is_loopback(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

/// The address of an S3 service: a scheme, a host, and an optional port. Keys and states are not sent in the clear, so `http` is
/// for this machine only.
pub(super) fn is_endpoint(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let name = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    let is_safe = scheme == "https" || (scheme == "http" && is_loopback(name));
    is_safe
        && !name.is_empty()
        && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']'))
}

/// The key of an object, of characters that need no escapes.
pub(super) fn is_object_key(text: &str) -> bool {
    let part = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    text.len() <= 512 && text.split('/').all(part)
}

/// A type of resource, or the address of a resource or a module.
pub(super) fn is_resource_address(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && !text.contains(char::is_control)
}

/// The name of a stack's variable that also works in an environment variable's name.
pub(super) fn is_stack_variable(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}
