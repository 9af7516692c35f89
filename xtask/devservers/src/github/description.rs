//! GitHub's description of its API (`github/openapi.json`), and what does not fit it.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use jsonschema::{Draft, Registry, Validator};
use percent_encoding::percent_decode_str;
use serde_json::Value;

static FILE: &str = include_str!("../../github/openapi.json");
static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(FILE).expect("the description is JSON"));
static REGISTRY: LazyLock<Registry<'static>> = LazyLock::new(|| {
    let registry = Registry::new().add("urn:github", &*DESCRIPTION).expect("the description is a resource");
    registry.prepare().expect("the description's references lead to something")
});
/// A schema is compiled when it is first needed: few are, in one process.
static COMPILED: LazyLock<Mutex<HashMap<String, &'static Validator>>> = LazyLock::new(Mutex::default);
/// Parameters of a path that may contain a slash.
const WITH_SLASHES: [&str; 4] = ["ref", "branch", "basehead", "tag"];

/// An operation of the API, as a request names it.
pub(super) struct Operation {
    pub method: String,
    /// The path with its parameters' names: `/repos/{owner}/{repo}/releases`.
    pub template: &'static str,
    /// The values of these parameters, decoded.
    pub parameters: HashMap<String, String>,
    described: &'static Value,
}

impl Operation {
    /// Finds the operation that a request is for.
    pub fn find(method: &str, path: &str) -> Option<Self> {
        let segments: Vec<&str> = path.split('/').collect();
        let paths = DESCRIPTION["paths"].as_object()?;
        let fitting = paths.iter().filter_map(|(template, methods)| {
            let described = methods.get(method)?;
            let mut parameters = HashMap::new();
            let parts: Vec<&str> = template.split('/').collect();
            fits(&parts, &segments, &mut parameters).then_some((template, described, parameters))
        });
        // `releases/latest` is not the release with the id `latest`.
        let (template, described, parameters) =
            fitting.max_by_key(|(template, _, _)| template.split('/').filter(|part| !part.starts_with('{')).count())?;
        Some(Self { method: method.to_owned(), template, parameters, described })
    }

    /// All that are described: method and path.
    pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
        let paths = DESCRIPTION["paths"].as_object().expect("the description has paths");
        paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("a path has methods");
            methods.keys().map(move |method| (method.as_str(), path.as_str()))
        })
    }

    /// Whether it is an upload, which has an address of its own.
    pub fn is_upload(&self) -> bool {
        self.described.get("server").is_some()
    }

    /// What is wrong with a request's query and body.
    pub fn check_request(&self, query: &[(String, String)], body: Option<&Value>) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, value) in query {
            match self.described["query"].get(name) {
                None => wrong.push(format!("it has no parameter {name:?}")),
                Some(schema) => wrong.extend(self.errors(&format!("query {name}"), schema, &typed(schema, value))),
            }
        }
        match (self.described.get("body"), body) {
            (_, None) if self.described["bodyRequired"] == true => wrong.push("it needs a body".to_owned()),
            (_, None) => {}
            (None, Some(body)) => wrong.push(format!("it takes no body: {body}")),
            (Some(schema), Some(body)) => {
                wrong.extend(self.errors("body", schema, body));
                let unknown = unknown_fields(schema, body);
                wrong.extend(unknown.into_iter().map(|name| format!("its body has no field {name:?}")));
            }
        }
        wrong
    }

    /// What is wrong with an answer.
    pub fn check_answer(&self, status: u16, body: Option<&Value>) -> Vec<String> {
        match (self.described["responses"].get(status.to_string()), body) {
            // Some errors are of the whole API and not in each operation, and the bodies of some are not described.
            (None | Some(Value::Null), _) if status >= 400 => Vec::new(),
            (None, _) => vec![format!("it has no answer {status}")],
            (Some(Value::Null), None) => Vec::new(),
            (Some(Value::Null), Some(body)) => vec![format!("answer {status} has no body: {body}")],
            (Some(_), None) => vec![format!("answer {status} needs a body")],
            (Some(schema), Some(body)) => self.errors(&format!("answer {status}"), schema, body),
        }
    }

    fn errors(&self, part: &str, schema: &'static Value, value: &Value) -> Vec<String> {
        let key = format!("{} {} {part}", self.method, self.template);
        let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        let validator = *compiled.entry(key).or_insert_with_key(|key| Box::leak(Box::new(compile(key, schema))));
        drop(compiled);
        let error = |error: jsonschema::ValidationError<'_>| {
            let value: String = error.to_string().chars().take(500).collect();
            format!("{part}{}: {value}", error.instance_path())
        };
        validator.iter_errors(value).map(error).collect()
    }
}

fn compile(key: &str, schema: &Value) -> Validator {
    let options = jsonschema::options().with_draft(Draft::Draft7).with_registry(&REGISTRY).offline();
    // GitHub writes an empty text where it has no address.
    let options = options.with_format("uri", |text: &str| text.is_empty() || text.contains("://"));
    let validator = options.should_validate_formats(true).build(schema);
    validator.unwrap_or_else(|error| panic!("the schema of {key}: {error}"))
}

/// Whether a path fits a template; the values of the template's parameters.
fn fits(parts: &[&str], segments: &[&str], parameters: &mut HashMap<String, String>) -> bool {
    let (Some((part, parts)), false) = (parts.split_first(), segments.is_empty()) else {
        return parts.is_empty() && segments.is_empty();
    };
    let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) else {
        return *part == segments[0] && fits(parts, &segments[1..], parameters);
    };
    let most = if WITH_SLASHES.contains(&name) { segments.len() } else { 1 };
    (1..=most).any(|count| {
        let value = segments[..count].join("/");
        parameters.insert(name.to_owned(), percent_decode_str(&value).decode_utf8_lossy().into_owned());
        !value.is_empty() && fits(parts, &segments[count..], parameters)
    })
}

/// A parameter's text as what its schema wants.
fn typed(schema: &Value, text: &str) -> Value {
    let typed = match schema["type"].as_str() {
        Some("integer") => text.parse().ok().map(|number: i64| number.into()),
        Some("boolean") => text.parse().ok().map(|flag: bool| flag.into()),
        Some("array") => Some(Value::Array(vec![text.into()])),
        _ => None,
    };
    typed.unwrap_or_else(|| text.into())
}

/// The fields of a body that its schema does not name. GitHub ignores such a field, so a misspelt one has no effect.
fn unknown_fields(schema: &Value, body: &Value) -> Vec<String> {
    let schema = match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => &DESCRIPTION["components"][reference.trim_start_matches("urn:github#/components/")],
        None => schema,
    };
    let (Some(known), Some(body)) = (schema["properties"].as_object(), body.as_object()) else { return Vec::new() };
    body.keys().filter(|name| !known.contains_key(*name)).cloned().collect()
}
