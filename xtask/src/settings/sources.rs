//! What the sources of a service read of the environment, against `service.env` of deploy.yaml. A name is found where it stands in
//! the text; what a framework or a library reads by itself is not seen.

use std::collections::BTreeMap;
use std::path::Path;

use camino::{Utf8Path, Utf8PathBuf};

use crate::check::Check;
use crate::config::{Config, OF_THE_SOCKET, Service, Target, nearest};
use crate::env::Env;
use crate::fs::project;
use crate::tools::git;

/// What stands before a name, by the extension of the file. After the last `.` the name follows, elsewhere a quote.
const READS: [(&[&str], &[&str]); 6] = [
    (&["js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx"], &["process.env.", "process.env[", "Deno.env.get("]),
    (&["py"], &["os.environ[", "os.environ.get(", "os.getenv("]),
    (&["rs"], &["env::var(", "env::var_os("]),
    (&["go"], &["os.Getenv(", "os.LookupEnv("]),
    (&["rb"], &["ENV[", "ENV.fetch("]),
    (&["java", "kt"], &["System.getenv("]),
];

/// What a service has without a word in deploy.yaml, beside its port and its socket.
const HANDED_OVER: [&str; 4] = ["PATH", "HOME", "TMPDIR", "LANG"];

/// Folders of tests, of builds, and of what others wrote.
const SKIPPED: [&str; 9] = ["node_modules", "target", "dist", "vendor", "build", "test", "tests", "__tests__", "spec"];

/// The largest file that is read, in bytes; how many are; and how many lines a check has.
const LARGEST: u64 = 256 << 10;
const MOST: usize = 2000;
const LISTED: usize = 12;

/// Whether the sources and `service.env` name the same variables. None where a settings.json declares them, or where the sources read
/// none.
pub async fn check(env: &Env<'_>) -> Option<Check> {
    let config = env.config;
    if config.service.settings.is_some() {
        return None;
    }
    // Without a repository nothing is deployed, which other checks say.
    let files = git::kept_files(&config.root, &folder(config)).await.ok()?;
    let mut seen = Seen::default();
    for file in files.iter().filter_map(|file| Utf8Path::from_path(file)).filter(|file| is_source(file)).take(MOST) {
        seen.read(&config.root, file);
    }
    // What the image sets by itself.
    let dockerfile = match (&env.environment.target, &config.image) {
        (Target::Local(_), _) | (_, None) => String::new(),
        (_, Some(image)) => text(&config.root, &image.dockerfile).unwrap_or_default(),
    };
    let lines = seen.differences(&config.service, &dockerfile);
    if seen.reads.is_empty() {
        return None;
    }
    Some(match lines.len() {
        0 => Check::good("env", format!("variables that the sources read: {}, all declared", seen.reads.len())),
        1..=LISTED => Check::doubtful("env", lines.join("\n")),
        more => Check::doubtful("env", format!("{}\nand {} more", lines[..LISTED].join("\n"), more - LISTED)),
    })
}

/// Where the sources are: of a cargo package, its folder.
fn folder(config: &Config) -> Utf8PathBuf {
    let (service, root) = (&config.service, Utf8PathBuf::from("."));
    let of_package = [service.package.as_str(), "src"].map(Utf8PathBuf::from);
    match service.command {
        Some(_) => root,
        None => of_package.into_iter().find(|folder| config.root.join(folder).is_dir()).unwrap_or(root),
    }
}

fn is_source(file: &Utf8Path) -> bool {
    let is_test = |name: &str| name.contains(".test.") || name.contains(".spec.") || name.contains("_test.");
    forms(file).is_some()
        && !file.components().any(|part| SKIPPED.contains(&part.as_str()))
        && !file.file_name().is_some_and(is_test)
}

fn forms(file: &Utf8Path) -> Option<&'static [&'static str]> {
    let extension = file.extension()?;
    READS.iter().find(|(extensions, _)| extensions.contains(&extension)).map(|(_, forms)| *forms)
}

fn text(root: &Utf8Path, file: &Utf8Path) -> Option<String> {
    let is_small = fs_err::symlink_metadata(Path::new(root).join(file)).is_ok_and(|meta| meta.len() <= LARGEST);
    let bytes = project::read_own(root, file).ok().flatten().filter(|_| is_small)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// What was found in sources.
#[derive(Default)]
struct Seen {
    /// The first place of each variable that is read: `FILE:LINE`.
    reads: BTreeMap<String, String>,
    /// All texts, in capitals: a library may map `database_url` to `DATABASE_URL`.
    words: String,
}

impl Seen {
    fn read(&mut self, root: &Utf8Path, file: &Utf8Path) {
        let (Some(text), Some(forms)) = (text(root, file), forms(file)) else { return };
        for (index, line) in text.lines().enumerate() {
            for name in forms.iter().flat_map(|form| names(line, form)) {
                self.reads.entry(name.to_owned()).or_insert_with(|| format!("{file}:{}", index + 1));
            }
        }
        self.words.push_str(&text.to_uppercase());
    }

    /// A line for each variable that is only read, and for each that is only declared.
    fn differences(&self, service: &Service, dockerfile: &str) -> Vec<String> {
        let declared: Vec<&str> = service.env.iter().map(|variable| variable.setting.name.as_str()).collect();
        let is_there = |name: &str| {
            declared.contains(&name)
                || service.port_variable.as_deref() == Some(name)
                || OF_THE_SOCKET.contains(&name)
                || HANDED_OVER.contains(&name)
                || dockerfile.contains(name)
        };
        let undeclared = self.reads.iter().filter(|(name, _)| !is_there(name)).map(|(name, place)| {
            let meant = nearest(name, declared.iter().copied());
            let hint = meant.map(|meant| format!(": did you mean {meant}?")).unwrap_or_default();
            format!("{place} reads {name}, which `service.env` of deploy.yaml does not declare{hint}")
        });
        let unread = declared.iter().filter(|name| !self.words.contains(&name.to_uppercase()));
        let unread = unread.map(|name| format!("`service.env` of deploy.yaml declares {name}, which no source names"));
        undeclared.chain(unread).collect()
    }
}

/// The variables that a line reads in this form. Names are in capitals: `process.env.hasOwnProperty` is none.
fn names<'a>(line: &'a str, form: &str) -> impl Iterator<Item = &'a str> {
    line.match_indices(form).filter_map(move |(at, _)| {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if line[..at].ends_with(is_word) {
            return None;
        }
        let rest = line[at + form.len()..].trim_start();
        let (quote, rest) = match rest.chars().next() {
            _ if form.ends_with('.') => (None, rest),
            Some(quote @ ('"' | '\'' | '`')) => (Some(quote), &rest[1..]),
            _ => return None,
        };
        let name = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
        let is_closed = quote.is_none_or(|quote| rest[name.len()..].starts_with(quote));
        let is_variable = name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
            && !name.chars().any(|c| c.is_ascii_lowercase());
        (is_closed && is_variable).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_the_form_of_each_language() {
        let found = |file: &str, line: &'static str| -> Vec<&str> {
            forms(Utf8Path::new(file)).into_iter().flatten().flat_map(|form| names(line, form)).collect()
        };
        assert_eq!(found("a.ts", "const a = process.env.A_1 ?? process.env['B'];"), ["A_1", "B"]);
        assert_eq!(
            found("a.mjs", "process.env.hasOwnProperty('A'); process.env[`${name}`]; process.env[name]"),
            [""; 0]
        );
        assert_eq!(found("a.py", "os.environ[\"A\"], os.environ.get('B', 1), os.getenv( 'C')"), ["A", "B", "C"]);
        assert_eq!(found("a.rs", "std::env::var(\"A\")?; env::var_os(\"B\"); env::var(NAME)"), ["A", "B"]);
        assert_eq!(found("a.go", "os.Getenv(\"A\") + os.LookupEnv(b)"), ["A"]);
        assert_eq!(found("a.rb", "ENV['A'] || ENV.fetch(\"B\") || MY_ENV['C']"), ["A", "B"]);
        assert_eq!(found("a.txt", "process.env.A"), [""; 0]);
    }

    #[test]
    fn tests_and_what_others_wrote_are_no_sources() {
        for file in ["server.js", "src/main.go", "app/settings.py"] {
            assert!(is_source(Utf8Path::new(file)), "{file}");
        }
        for file in ["test/server.js", "node_modules/a/index.js", "main_test.go", "a.spec.ts", "README.md"] {
            assert!(!is_source(Utf8Path::new(file)), "{file}");
        }
    }
}
