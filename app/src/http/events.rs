//! `GET /api/events`: tells a page of what has changed, by server-sent events.
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>
//!
//! A stream begins with `look`, so a client that comes back asks for what it has missed. Streams have no ids: what is told is where to
//! look, and the answer is always what is true now.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{
        HeaderMap, HeaderName, HeaderValue,
        header::{CACHE_CONTROL, CONNECTION},
    },
    response::{IntoResponse, Response, Sse, sse::Event},
};
use futures_util::stream;
use serde::Serialize;
use serde_json::json;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, broadcast::Receiver},
    time::{Instant, Interval, interval_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    access::{Reader, bearer_token},
    connections,
    error::ApiError,
    openapi::{Operation, Output},
};
use crate::{
    auth::{Authenticator, Scope},
    error_code::ErrorCode,
    media::Status,
    metrics::metrics,
    notifications::{Notice, Notifications},
};

/// How often a silent stream says that it lives, and whether its token still allows it. Proxies end connections that are silent for a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long a stream waits at its beginning for the database's notifications: the process may have just started.
const PATIENCE: Duration = Duration::from_secs(3);

/// Streams of this process, at most; fewer if it may have few connections open.
const MOST: usize = 1000;

/// Proxies such as nginx keep what they pass on back, unless they are told not to.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Where streams of events come from. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    notifications: Arc<Notifications>,
    places: Arc<Semaphore>,
    /// Ends all streams.
    stop: CancellationToken,
}

/// A stream of events, from its first to its last.
pub struct EventStream {
    notices: Receiver<Notice>,
    notifications: Arc<Notifications>,
    heartbeat: Interval,
    authenticator: Arc<Authenticator>,
    token: String,
    stop: CancellationToken,
    has_begun: bool,
    _place: Place,
}

/// A stream that is open, as long as this lives.
struct Place {
    _permit: OwnedSemaphorePermit,
}

#[derive(Serialize)]
struct MediaEvent {
    id: String,
    status: Status,
}

#[derive(Serialize)]
struct DeletedEvent {
    id: String,
}

/// `GET /api/events`: a stream until the service stops, the token ends, or the database no longer tells of changes. Then, and if there is no
/// stream to be had, a client asks from time to time.
pub async fn stream(
    State(events): State<Events>,
    State(authenticator): State<Arc<Authenticator>>,
    headers: HeaderMap,
    _: Reader,
) -> Result<EventStream, ApiError> {
    let permit = events.places.clone().try_acquire_owned();
    let place = Place::new(permit.map_err(|_| {
        ApiError::new(ErrorCode::Busy, "there are too many streams; ask from time to time").retry_after(30)
    })?);
    // Before anything is asked for, so that what happens from now on is not missed.
    let notices = events.notifications.subscribe();
    if events.stop.is_cancelled() || !events.notifications.wait(PATIENCE).await {
        let message = "there are no events at the moment; ask from time to time";
        return Err(ApiError::new(ErrorCode::Unavailable, message).retry_after(30));
    }
    Ok(EventStream {
        notices,
        notifications: events.notifications,
        heartbeat: interval_at(Instant::now() + HEARTBEAT, HEARTBEAT),
        authenticator,
        token: bearer_token(&headers).ok_or_else(ApiError::unauthorized)?.to_owned(),
        stop: events.stop,
        has_begun: false,
        _place: place,
    })
}

impl Events {
    /// Streams end with `stop`. They take half of the connections that this process may have open, at most: no stream makes place for
    /// another connection.
    pub fn new(notifications: Arc<Notifications>, stop: CancellationToken) -> Self {
        let places = (connections::most() / 2).min(MOST);
        Self { notifications, places: Arc::new(Semaphore::new(places)), stop }
    }
}

impl EventStream {
    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<Result<Event, axum::Error>> {
        if !std::mem::replace(&mut self.has_begun, true) {
            return Some(look());
        }
        loop {
            let stop = self.stop.clone();
            let notice = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                _ = self.heartbeat.tick() => {
                    return self.is_allowed().await.then(|| Ok(Event::default().comment("")));
                }
                notice = self.notices.recv() => notice,
            };
            match notice {
                Ok(Notice::JobDue) => {}
                Ok(Notice::Media { id, status }) => {
                    metrics().event("media");
                    let event = MediaEvent { id: id.to_string(), status };
                    return Some(Event::default().event("media").json_data(event));
                }
                Ok(Notice::Deleted { id }) => {
                    metrics().event("deleted");
                    return Some(Event::default().event("deleted").json_data(DeletedEvent { id: id.to_string() }));
                }
                // They begin or cease to come, or came faster than the client takes them.
                Ok(Notice::Changed) | Err(_) => return self.notifications.arrive().then(look),
            }
        }
    }

    /// Whether the token still allows what the stream tells.
    async fn is_allowed(&self) -> bool {
        let access = self.authenticator.authenticate(&self.token).await;
        matches!(access, Ok(Some(access)) if access.scopes.contains(&Scope::Read))
    }
}

fn look() -> Result<Event, axum::Error> {
    metrics().event("look");
    Ok(Event::default().event("look").data("{}"))
}

impl Place {
    fn new(permit: OwnedSemaphorePermit) -> Self {
        metrics().stream_opened();
        Self { _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics().stream_closed();
    }
}

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        let headers = [
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (X_ACCEL_BUFFERING, HeaderValue::from_static("no")),
            // Of a service that stops, the client asks nothing more on this connection.
            (CONNECTION, HeaderValue::from_static("close")),
        ];
        let events = stream::unfold(self, async |mut stream| stream.next().await.map(|event| (event, stream)));
        let mut response = Sse::new(events).into_response();
        for (name, value) in headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl Output for EventStream {
    fn describe(operation: &mut Operation<'_>) {
        let description = "Server-sent events until the service stops or the token ends. `look`, first of all and whenever something may have been \
            missed: ask for what is shown. `media`, with `id` and `status` in JSON: a media has this status by now, or was processed anew, or \
            edited, or moved to the trash or out of it, or has another file. `deleted`, with `id`: it was deleted for ever. A comment every 15 \
            seconds if nothing happens.";
        operation.answers(200);
        operation.answer_header("Cache-Control", "`no-store`");
        operation.answer_content("text/event-stream", json!({ "type": "string", "description": description }));
    }
}
