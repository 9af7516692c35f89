//! A service, its readiness and its build repeat secrets in every encoding. No channel shows them, in failing runs neither.

use std::path::Path;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::lifecycle::set_own;
use testkit::{Controls, Project, Ran, Terminal};

/// With what URLs, forms, JSON, GitHub, shells and Rust escape.
const TOKEN: &str = "s3nt 100%+a\"b&c'/d\\e$f öö🦀 -end-of-it";

const PASSWORD: &str = "p@ss/s3nt+of the URL";

const URL: &str = "postgres://shop:p%40ss%2Fs3nt%2Bof%20the%20URL@db.example:5432/shop";

/// A shorter piece of a secret can be anything.
const PIECE: usize = 12;

/// A text as services, libraries and shells repeat it: how, what they write, and how many bytes of that are of what stands before.
fn encodings(text: &str) -> Vec<(&'static str, String, usize)> {
    let percent = |digits: fn(u8) -> String| -> String {
        let encode = |byte: u8| match byte.is_ascii_alphanumeric() {
            true => char::from(byte).to_string(),
            false => digits(byte),
        };
        text.bytes().map(encode).collect()
    };
    let upper = percent(|byte| format!("%{byte:02X}"));
    let json = serde_json::to_string(text).unwrap();
    let ascii = |unit: u16| match u8::try_from(unit).map(char::from) {
        Ok('&' | '<' | '>' | '\'' | '+') | Err(_) => format!("\\u{unit:04x}"),
        Ok('/') => "\\/".to_owned(),
        Ok(character) if character.is_ascii() => character.to_string(),
        Ok(_) => format!("\\u{unit:04X}"),
    };
    let login = format!("shop:{text}");
    let wrapped = STANDARD.encode(&login);
    let wrapped: Vec<&str> = wrapped.as_bytes().chunks(20).map(|line| str::from_utf8(line).unwrap()).collect();
    let middle = text.floor_char_boundary(text.len() / 2);
    vec![
        ("as it is", text.to_owned(), 0),
        ("percent-encoded", upper.clone(), 0),
        ("percent-encoded in lower case", percent(|byte| format!("%{byte:02x}")), 0),
        ("in a form", upper.replace("%20", "+"), 0),
        ("in JSON", json.encode_utf16().map(ascii).collect(), 0),
        ("in JSON in JSON", serde_json::to_string(&json).unwrap(), 0),
        ("in base64", STANDARD.encode(text), 0),
        ("in a header", format!("Basic {}", STANDARD.encode(&login)), 14),
        ("in base64 for URLs", URL_SAFE_NO_PAD.encode(format!("{{{text}}}")), 4),
        ("in base64 of several lines", wrapped.join("\n"), 8),
        ("in hexadecimal digits", hex::encode(text), 0),
        ("in upper-case hexadecimal digits", hex::encode_upper(text), 0),
        ("in a shell", format!("'{}'", text.replace('\'', "'\\''")), 0),
        ("for a shell", shlex::try_quote(text).unwrap().into_owned(), 0),
        ("as Rust shows it", format!("{text:?}"), 0),
        ("on two lines", format!("{}\n{}", &text[..middle], &text[middle..]), 0),
    ]
}

/// What must be found nowhere: every piece of each secret in each encoding.
struct Forbidden(AhoCorasick);

impl Forbidden {
    fn of(secrets: &[&str]) -> Self {
        let all = secrets.iter().flat_map(|secret| encodings(secret));
        let secret = |(_, text, before): (_, String, usize)| text[before..].to_owned();
        let lines = all.map(secret).flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
        let pieces = lines.flat_map(|line| line.as_bytes().windows(PIECE).map(<[u8]>::to_vec).collect::<Vec<_>>());
        Self(AhoCorasick::new(pieces).unwrap())
    }

    #[track_caller]
    fn check(&self, what: &str, text: &str) {
        if let Some(found) = self.0.find(text) {
            let from = text.floor_char_boundary(found.start().saturating_sub(100));
            let to = text.ceil_char_boundary(found.end());
            panic!("{what} has a piece of a secret at its end: {}", &text[from..to]);
        }
    }

    /// The output, and with `--json` also the texts of its events.
    #[track_caller]
    fn check_output(&self, what: &str, ran: &Ran) {
        for text in [&ran.stdout, &ran.stderr] {
            self.check(what, text);
            for event in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
                for_texts(&event, &mut |text| self.check(what, text));
            }
        }
    }

    fn check_folder(&self, folder: &Path) {
        for entry in fs_err::read_dir(folder).unwrap() {
            let (path, kind) = (entry.as_ref().unwrap().path(), entry.unwrap().file_type().unwrap());
            if kind.is_dir() && !path.ends_with("data") {
                self.check_folder(&path);
            } else if kind.is_file() && !path.ends_with("secrets.env") {
                let bytes = fs_err::read(&path).unwrap();
                self.check(path.to_str().unwrap(), &String::from_utf8_lossy(&bytes));
            }
        }
    }
}

fn for_texts(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => each(text),
        Value::Array(values) => values.iter().for_each(|value| for_texts(value, each)),
        Value::Object(values) => values.values().for_each(|value| for_texts(value, each)),
        _ => {}
    }
}

fn in_quotes(text: &str) -> String {
    let escapes = [("\\", "\\\\"), ("\"", "\\\""), ("$", "\\$")];
    format!("\"{}\"", escapes.iter().fold(text.to_owned(), |text, (plain, escape)| text.replace(plain, escape)))
}

#[test]
fn no_channel_shows_a_secret_in_any_encoding() {
    let project = Project::fixture();
    set_own(&project, &format!("API_TOKEN={}\nCERTIFICATE={}\n", in_quotes(TOKEN), in_quotes(URL)));
    project.gate(1);
    // Generates SIGNING_KEY.
    project.ok(&["deploy"]);
    let generated = fs_err::read_to_string(project.deployed("secrets.env")).unwrap();
    let key = generated.lines().find_map(|line| line.strip_prefix("SIGNING_KEY=")).unwrap();
    let secrets = [TOKEN, PASSWORD, URL.split([':', '@']).nth(2).unwrap(), key];
    let forbidden = Forbidden::of(&secrets);

    let said: String = [TOKEN, PASSWORD, URL, key]
        .into_iter()
        .flat_map(encodings)
        .map(|(how, text, _)| format!("{how}, said:\n{text}\n{how}: {text} is it\n"))
        .collect();
    fs_err::write(project.deployed("data/data/say"), &said).unwrap();
    let why = serde_json::to_string(&format!("cannot log in with {TOKEN} to {URL}\nand {PASSWORD}")).unwrap();
    fs_err::write(project.deployed("data/data/why"), why.trim_matches('"')).unwrap();
    let count = |text: &str| text.matches("[redacted]").count();

    project.commit_behaviour("repeats");
    forbidden.check_output("a deploy", &project.ok(&["deploy"]));
    let log = project.ok(&["logs", "-n", "10000"]);
    // Two streams of two processes: the candidate's, and the one's on the public socket.
    let processes = 2 * 2;
    assert!(count(&log.stdout) >= 4 * 16 * 2 * processes, "{}", log.stdout);
    for line in ["as Rust shows it: ", "in JSON in JSON: ", "in a header: Basic "] {
        assert_eq!(log.stdout.matches(line).count(), 4 * processes, "{}", log.stdout);
    }
    for args in [&["logs", "-n", "10000"][..], &["logs", "-n", "10000", "--json"], &["status", "--json"]] {
        forbidden.check_output("an answer", &project.ok(args));
    }

    // The gate fails, and says what the readiness and the log say.
    project.commit_behaviour("repeats-unready");
    let (code, shown) = Terminal::start(&project.command(&["deploy"]), Controls::Yes).end();
    assert!(code == Some(30) && shown.contains("cannot log in with [redacted] to [redacted]"), "{shown}");
    forbidden.check("a terminal", &shown);
    let modes = [(&["deploy"][..], "GITHUB_ACTIONS"), (&["deploy", "--json"], "CI")];
    for (number, (args, variable)) in modes.into_iter().enumerate() {
        project.commit(&number.to_string());
        let ran = Ran::of(project.command(args).env(variable, "true")).expect(30);
        assert!(ran.stderr.contains("cannot log in with [redacted]"), "{}", ran.stderr);
        forbidden.check_output(variable, &ran);
    }

    // The build fails, and its output repeats them.
    project.write("said.txt", &said);
    let script = "fn main() {\n    eprintln!(\"{}\", include_str!(\"said.txt\"));\n    std::process::exit(1);\n}\n";
    project.write("build.rs", script);
    project.commit("A build that fails");
    for (args, variable) in modes {
        let ran = Ran::of(project.command(args).env(variable, "true")).expect(1);
        assert!(count(&(ran.stderr.clone() + &ran.stdout)) > 10, "{}", ran.stderr);
        forbidden.check_output("a failed build", &ran);
    }
    forbidden.check_output("the records", &project.ok(&["history", "--json"]));
    forbidden.check_folder(&project.root.join(".deploy"));
}

/// A job of CI exports secrets that no environment of deploy.yaml names.
#[test]
fn a_secret_that_only_the_caller_s_environment_has_is_not_shown() {
    let project = Project::fixture();
    project.gate(1);
    project.ok(&["deploy"]);
    let why = serde_json::to_string(&format!("cannot log in with {TOKEN} to {URL}")).unwrap();
    fs_err::write(project.deployed("data/data/why"), why.trim_matches('"')).unwrap();
    project.commit_behaviour("repeats-unready");
    let mut deploy = project.command(&["deploy"]);
    let ran = Ran::of(deploy.env("STRIPE_KEY", TOKEN).env("QUEUE", URL).env("GITHUB_ACTIONS", "true")).expect(30);
    ran.says(&["cannot log in with [redacted] to [redacted]"]);
}

#[test]
fn a_value_that_is_not_secret_is_not_redacted() {
    let project = Project::fixture();
    set_own(&project, "GREETING=settings\n");
    project.ok(&["deploy"]).says(&["3 settings"]);
}

#[test]
fn a_password_in_a_setting_that_is_not_secret_is_refused() {
    let project = Project::fixture();
    set_own(&project, &format!("GREETING={URL}\n"));
    let ran = project.run(&["deploy"]).expect(1).says(&["GREETING is not declared as secret", "`secret: true`"]);
    Forbidden::of(&[PASSWORD, "p%40ss%2Fs3nt%2Bof%20the%20URL"]).check_output("the error", &ran);
    assert_eq!(project.serves(), None);
}
