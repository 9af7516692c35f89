//! How a request becomes an answer: described, authenticated, counted, permitted, answered, described again.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Inner;
use super::answer::{Answer, Outcome};
use super::call::Call;
use super::description::Operation;
use super::faults::{self, Fault, Planned};
use super::issues;
use super::repository::{Repository, user};
use super::route::Route;
use super::run::Run;
use super::tokens::{Kind, Token};
use crate::http::{Request, Response};

/// How long a call waits for the others that a test wants at the same time. A client has given up before.
const MEETING: Duration = Duration::from_secs(25);

/// All that a GitHub keeps.
#[derive(Default)]
pub(super) struct State {
    pub repositories: BTreeMap<(String, String), Repository>,
    pub tokens: BTreeMap<String, Token>,
    faults: Vec<Planned>,
    pub violations: Vec<String>,
    pub calls: Vec<String>,
    pub delay: Duration,
    /// An operation, and how many calls of it are still awaited before any is answered.
    pub meeting: Option<(String, usize)>,
}

impl State {
    /// Adds a token: its text, as GitHub's begin.
    pub fn add_token(&mut self, kind: &str, token: Token) -> String {
        let text = format!("{kind}_{}", &hex::encode(Sha256::digest(self.tokens.len().to_string()))[..36]);
        self.tokens.insert(text.clone(), token);
        text
    }

    pub fn plan(&mut self, operation: &str, after: usize, fault: Fault) {
        assert!(operation == "*" || faults::names().any(|name| name == operation), "there is no operation {operation}");
        self.faults.push(Planned { operation: operation.to_owned(), after, fault });
    }
}

impl Inner {
    /// Answers a request to the API or an upload.
    pub fn answer(self: &Arc<Self>, request: &Request) -> Response {
        let start = Instant::now();
        let mut state = self.lock();
        let delay = state.delay;
        let (status, response) = self.respond(&mut state, request);
        state.calls.push(format!("{} {} {status}", request.method, request.path));
        let number = state.calls.len();
        drop(state);
        self.begin_runs();
        self.meet(request);
        std::thread::sleep(delay.saturating_sub(start.elapsed()));
        response.header("x-github-request-id", &format!("{number:04X}:STANDIN"))
    }

    /// Holds the answer until the other calls are there that a test wants at the same time.
    fn meet(&self, request: &Request) {
        let path = request.path.split('?').next().unwrap_or_default();
        let Some(operation) = Operation::find(&request.method, path) else { return };
        let mut state = self.lock();
        match &mut state.meeting {
            Some((name, left)) if *name == faults::name(&operation.method, operation.template) => *left -= 1,
            _ => return,
        }
        state.meeting.take_if(|(_, left)| *left == 0);
        self.changed.notify_all();
        let waited = self.changed.wait_timeout_while(state, MEETING, |state| state.meeting.is_some());
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            state.violations.push(format!("{} {path}: the other calls did not come", request.method));
        }
    }

    /// Begins the runs that were started.
    pub fn begin_runs(self: &Arc<Self>) {
        let mut state = self.lock();
        let repositories = state.repositories.iter_mut();
        let waiting = repositories.flat_map(|(key, repository)| {
            let waiting = std::mem::take(&mut repository.workflows.waiting);
            waiting.into_iter().map(|(id, does)| (key.clone(), id, does))
        });
        let waiting: Vec<_> = waiting.collect();
        drop(state);
        self.changed.notify_all();
        for (repository, id, does) in waiting {
            Run { inner: Arc::clone(self), repository, id }.begin(does);
        }
    }

    fn respond(&self, state: &mut State, request: &Request) -> (u16, Response) {
        let path = request.path.split('?').next().unwrap_or_default();
        let upload = path.strip_prefix("/uploads");
        let (path, uploads) = (upload.unwrap_or(path), upload.is_some());
        if (request.method.as_str(), path) == ("POST", "/graphql") {
            return shown(&viewer(state, request), Vec::new());
        }
        let query = request.path.split_once('?').map_or("", |(_, query)| query);
        let queries: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let found = Operation::find(&request.method, path).filter(|operation| operation.is_upload() == uploads);
        let name = format!("{} {}", request.method, request.path);
        let Some(operation) = found else {
            state.violations.push(format!("{name}: the stand-in knows no such operation"));
            return shown(&Answer::error(400, "The stand-in knows no such operation."), Vec::new());
        };
        let body =
            if uploads || request.body.is_empty() { Ok(None) } else { serde_json::from_slice(&request.body).map(Some) };
        let body: Option<Value> = match body {
            Ok(body) => body,
            Err(_) => {
                state.violations.push(format!("{name}: the body is no JSON"));
                return shown(&Answer::error(400, "Problems parsing JSON"), Vec::new());
            }
        };
        let mut wrong = operation.check_request(&queries, body.as_ref().filter(|_| !uploads));
        if request.header("user-agent").is_none() {
            wrong.push("it has no User-Agent, and GitHub refuses that".to_owned());
        }
        if !wrong.is_empty() {
            state.violations.extend(wrong.iter().map(|wrong| format!("{name}: {wrong}")));
            return shown(&Answer::error(400, &wrong.join("; ")), Vec::new());
        }
        let fault = faults::take(&mut state.faults, &operation);
        let now = jiff::Timestamp::now().as_second();
        if let Some(fault) = fault.as_ref().filter(|fault| !fault.is_after()) {
            return (0, fault.response(now));
        }
        let (token, outcome) = self.outcome(state, request, &operation, queries, body.unwrap_or_default(), now);
        let answer = outcome.unwrap_or_else(|refused| refused);
        let wrong = operation.check_answer(answer.status, answer.body.as_ref());
        state.violations.extend(wrong.into_iter().map(|wrong| format!("{name}: the stand-in's own {wrong}")));
        if let Some(fault) = fault {
            if let (Fault::HalfUpload, Some(asset)) = (&fault, &answer.body) {
                state.repositories.values_mut().for_each(|repository| repository.break_off(&asset["id"]));
            }
            return (0, fault.response(now));
        }
        let headers = token.and_then(|token| state.tokens.get(&token)).map(Token::headers).unwrap_or_default();
        shown(&unchanged(request, answer), headers)
    }

    fn outcome(
        &self,
        state: &mut State,
        request: &Request,
        operation: &Operation,
        queries: Vec<(String, String)>,
        body: Value,
        now: i64,
    ) -> (Option<String>, Outcome) {
        let header = request.header("authorization").unwrap_or_default();
        let text = header.strip_prefix("Bearer ").or_else(|| header.strip_prefix("token ")).map(str::to_owned);
        let Some(text) = text else { return (None, Err(Answer::error(401, "Requires authentication"))) };
        let Some(token) = state.tokens.get_mut(&text) else {
            return (None, Err(Answer::error(401, "Bad credentials")));
        };
        if let Err(refused) = token.count(now) {
            return (Some(text), Err(refused));
        }
        let call = Call {
            request: request.clone(),
            parameters: operation.parameters.clone(),
            queries,
            body,
            token: token.clone(),
            api: self.urls().api.clone(),
        };
        (Some(text), perform(state, operation, &call))
    }
}

/// The one question of the GraphQL API that is known: whose token it is.
fn viewer(state: &mut State, request: &Request) -> Answer {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    if body["query"] != "query { viewer { login } }" {
        state.violations.push(format!("POST /graphql: the stand-in does not know {}", body["query"]));
        return Answer::error(400, "The stand-in knows no such query.");
    }
    let header = request.header("authorization").unwrap_or_default();
    match header.strip_prefix("Bearer ").and_then(|token| state.tokens.get(token)) {
        Some(token) => Answer::ok(json!({"data": {"viewer": {"login": token.login().0}}})),
        None => Answer::error(401, "Bad credentials"),
    }
}

fn perform(state: &mut State, operation: &Operation, call: &Call) -> Outcome {
    let Some(route) = Route::find(&operation.method, operation.template) else { return whole(state, operation, call) };
    let key = (call.parameter("owner").to_owned(), call.parameter("repo").to_owned());
    let repository = state.repositories.get_mut(&key).ok_or_else(Answer::not_found)?;
    call.token.may(route.permissions())?;
    (route.handler)(call, repository)
}

/// What is of no repository.
fn whole(state: &State, operation: &Operation, call: &Call) -> Outcome {
    match operation.template {
        "/rate_limit" => {
            let rate = call.token.rate();
            Ok(Answer::ok(json!({"resources": {"core": rate, "search": rate}, "rate": rate})))
        }
        "/search/issues" => Ok(issues::search(call, state.repositories.values())),
        "/user" if call.token.kind == Kind::Person => Ok(Answer::ok(person(call))),
        "/user" => Err(Answer::error(403, "Resource not accessible by integration")),
        other => panic!("{other} is described and has no route"),
    }
}

/// The user whose token it is, as the user's page shows it.
fn person(call: &Call) -> Value {
    let (login, id) = call.token.login();
    let mut value = user(&call.api, login, id);
    for name in ["name", "company", "blog", "location", "email", "hireable", "bio"] {
        value[name] = Value::Null;
    }
    for name in ["public_repos", "public_gists", "followers", "following"] {
        value[name] = 0.into();
    }
    for name in ["created_at", "updated_at"] {
        value[name] = "2020-01-01T00:00:00Z".into();
    }
    value
}

/// 304, where the client has this answer already.
fn unchanged(request: &Request, answer: Answer) -> Answer {
    let Some(body) = answer.body.as_ref().filter(|_| request.method == "GET" && answer.status == 200) else {
        return answer;
    };
    let tag = format!("W/\"{}\"", hex::encode(&Sha256::digest(body.to_string())[..16]));
    let same = request.header("if-none-match").is_some_and(|known| known == tag);
    let answer = if same { Answer::new(304, None) } else { answer };
    answer.header("etag", &tag)
}

fn shown(answer: &Answer, headers: Vec<(String, String)>) -> (u16, Response) {
    let mut response = Response::new(answer.status);
    for (name, value) in headers.iter().chain(&answer.headers) {
        response = response.header(name, value);
    }
    if let Some(body) = &answer.body {
        response = response.body("application/json; charset=utf-8", body.to_string());
    }
    (answer.status, response)
}
