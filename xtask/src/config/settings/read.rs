//! Reads settings.json with every problem that it has, where serde alone would tell the first.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::ConfigError;
use super::super::file::TextFile;
use super::super::problem::{LISTED, Position, Problem, did_you_mean, quoted};
use super::{Setting, SettingsTable};

/// The version of the format.
const SCHEMA: u32 = 1;

/// The keys that every setting has.
const REQUIRED: [&str; 5] = ["name", "help", "kind", "required", "secret"];

/// Reads a table with all its problems.
pub(super) fn read_checked(file: &TextFile, hint: &str) -> Result<SettingsTable, ConfigError> {
    let mut problems = match read(file, hint) {
        Ok(table) => match table.contradictions(file, hint) {
            problems if problems.is_empty() => return Ok(table),
            problems => problems,
        },
        Err(first) => {
            let more =
                raw_settings(file).into_iter().enumerate().flat_map(|(index, raw)| of_setting(file, index, raw, hint));
            let mut all: Vec<Problem> = more.collect();
            // Where the first one is a setting's, it is among these.
            if all.is_empty() || !first.key.starts_with("settings[") {
                all.push(first);
            }
            all.sort_by_key(|problem| problem.at);
            all
        }
    };
    let unlisted = problems.split_off(LISTED.min(problems.len())).len();
    Err(ConfigError::new(problems, unlisted))
}

fn read(file: &TextFile, hint: &str) -> Result<SettingsTable, Problem> {
    #[derive(Deserialize)]
    struct Version {
        schema: u32,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Table {
        #[serde(rename = "schema")]
        _schema: u32,
        settings: Vec<Setting>,
    }
    // The version first, because another version may have other keys.
    let Version { schema } = json(file, hint)?;
    if schema != SCHEMA {
        let (at, message) = (Position { line: 1, column: 1 }, format!("found version {schema}, expected {SCHEMA}"));
        let hint = "use a toolkit and a service with the same version of the settings table";
        return Err(Problem { key: "schema".to_owned(), ..file.problem(at, message, hint) });
    }
    json(file, hint).map(|Table { settings, .. }| SettingsTable { settings })
}

/// Every problem of one setting: its missing keys, else what serde says of it.
fn of_setting(file: &TextFile, index: usize, raw: &RawValue, hint: &str) -> Vec<Problem> {
    let of = |key: &str, at: Position, message: String, hint: &str| {
        let key = if key.is_empty() { format!("settings[{index}]") } else { format!("settings[{index}].{key}") };
        Problem { key, ..file.problem(at, message, hint) }
    };
    let start = position(file, raw);
    if let Ok(entries) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(raw.get()) {
        let missing: Vec<&str> = REQUIRED.into_iter().filter(|key| !entries.contains_key(*key)).collect();
        if let [first, rest @ ..] = missing.as_slice() {
            let known = ["default", "supplied_by", "values"];
            let unknown =
                entries.keys().map(String::as_str).find(|key| !REQUIRED.contains(key) && !known.contains(key));
            // A misspelt key is named as such by serde.
            if unknown.is_none() {
                let message = match rest {
                    [] => format!("missing field `{first}`"),
                    _ => format!("missing fields `{}`", missing.join("`, `")),
                };
                return vec![of("", start, message, hint)];
            }
        }
    }
    let read: Result<Setting, _> = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(raw.get()));
    let Err(error) = read else { return Vec::new() };
    let path = error.path().to_string();
    let within = not_settings(file, path.trim_start_matches('.'), error.inner(), hint);
    let at = match within.at {
        Some(Position { line: 1, column }) => Position { line: start.line, column: start.column + column - 1 },
        Some(Position { line, column }) => Position { line: start.line + line - 1, column },
        None => start,
    };
    vec![of(if path == "." { "" } else { within.key.as_str() }, at, within.message, &within.hint)]
}

fn json<'de, T: Deserialize<'de>>(file: &'de TextFile, hint: &str) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_str(&file.text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        // The path is meaningless if the text is not JSON.
        let path = if error.inner().is_data() { error.path().to_string() } else { String::new() };
        not_settings(file, path.trim_start_matches('.'), error.inner(), hint)
    })?;
    reader.end().map_err(|error| not_settings(file, "", &error, hint))?;
    Ok(value)
}

/// The settings as they are written; none where the file is no such JSON.
pub(super) fn raw_settings(file: &TextFile) -> Vec<&RawValue> {
    #[derive(Deserialize)]
    struct Raw<'a> {
        #[serde(borrow)]
        settings: Vec<&'a RawValue>,
    }
    serde_json::from_str(&file.text).map(|raw: Raw<'_>| raw.settings).unwrap_or_default()
}

/// The position of a raw value, which is a slice of the text that it was read from.
pub(super) fn position(file: &TextFile, raw: &RawValue) -> Position {
    file.position(raw.get().as_ptr().addr().saturating_sub(file.text.as_ptr().addr()))
}

/// The problem of a file that serde_json refuses.
fn not_settings(file: &TextFile, key: &str, error: &serde_json::Error, hint: &str) -> Problem {
    let at = Position { line: error.line().max(1), column: error.column().max(1) };
    let text = error.to_string();
    let text = text.strip_suffix(&format!(" at line {} column {}", error.line(), error.column())).unwrap_or(&text);
    // serde puts the unknown word and the known ones into backticks.
    let mut words = text.split('`').skip(1).step_by(2);
    let word = words.next().unwrap_or_default();
    let (message, hint) = if text.starts_with("unknown field") {
        ("unknown key".to_owned(), did_you_mean(word, "keys", words))
    } else if text.starts_with("unknown variant") {
        (format!("unknown value {}", quoted(word)), did_you_mean(word, "values", words))
    } else {
        (text.to_owned(), hint.to_owned())
    };
    Problem { key: key.to_owned(), ..file.problem(at, message, hint) }
}
