//! What an operation answers.

use serde_json::{Value, json};

use super::call::Call;

/// An answer: the body is JSON, or there is none.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Option<Value>,
}

/// A refusal is an answer too.
pub(super) type Outcome = Result<Answer, Answer>;

impl Answer {
    pub fn ok(body: Value) -> Self {
        Self::new(200, Some(body))
    }

    pub fn created(body: Value) -> Self {
        Self::new(201, Some(body))
    }

    pub fn empty() -> Self {
        Self::new(204, None)
    }

    pub fn redirect(location: &str) -> Self {
        Self::new(302, None).header("location", location)
    }

    /// A page of a list, with the addresses of the others.
    pub fn page(call: &Call, items: Vec<Value>) -> Self {
        let (links, items) = page(call, items, 30);
        let answer = Self::ok(items.into());
        links.into_iter().fold(answer, |answer, links| answer.header("link", &links))
    }

    /// A page of a list in an object that also has the number of all items.
    pub fn counted(call: &Call, name: &str, items: Vec<Value>) -> Self {
        let total = items.len();
        let (links, items) = page(call, items, 30);
        let answer = Self::ok(json!({ "total_count": total, name: items }));
        links.into_iter().fold(answer, |answer, links| answer.header("link", &links))
    }

    /// An error with a text of GitHub's.
    pub fn error(status: u16, message: &str) -> Self {
        let body = json!({
            "message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string(),
        });
        Self::new(status, Some(body))
    }

    pub fn not_found() -> Self {
        Self::error(404, "Not Found")
    }

    /// 422, with the field that is wrong: `already_exists`, `invalid`, `missing_field`.
    pub fn invalid(resource: &str, field: &str, code: &str) -> Self {
        Self::validation(json!({"resource": resource, "field": field, "code": code}))
    }

    /// 422, with a sentence.
    pub fn custom(resource: &str, field: &str, message: &str) -> Self {
        Self::validation(json!({"resource": resource, "field": field, "code": "custom", "message": message}))
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn new(status: u16, body: Option<Value>) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    fn validation(error: Value) -> Self {
        let body = json!({
            "message": "Validation Failed", "documentation_url": "https://docs.github.com/rest", "errors": [error],
            "status": "422",
        });
        Self::new(422, Some(body))
    }
}

/// A page of items, and the `Link` header that leads to the other pages.
pub(super) fn page(call: &Call, items: Vec<Value>, usual: usize) -> (Option<String>, Vec<Value>) {
    let number = |name: &str| call.query(name).and_then(|value| value.parse::<usize>().ok()).filter(|&value| value > 0);
    let (size, page) =
        (number("per_page").unwrap_or(usual).min(if usual > 100 { usual } else { 100 }), number("page").unwrap_or(1));
    let last = items.len().div_ceil(size).max(1);
    let link = |relation: &str, page: usize| {
        let others = call.queries().iter().filter(|(name, _)| name != "page");
        let query: String = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(others)
            .append_pair("page", &page.to_string())
            .finish();
        format!("<{}?{query}>; rel=\"{relation}\"", call.address())
    };
    let mut links = Vec::new();
    if page > 1 {
        links.extend([link("prev", page - 1), link("first", 1)]);
    }
    if page < last {
        links.extend([link("next", page + 1), link("last", last)]);
    }
    let items = items.into_iter().skip((page - 1) * size).take(size).collect();
    ((!links.is_empty()).then(|| links.join(", ")), items)
}
