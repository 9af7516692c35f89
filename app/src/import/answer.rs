//! What an answer of the service means for an import.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use hyper::{
    Response,
    header::{HeaderMap, LOCATION, RETRY_AFTER},
};
use serde::Deserialize;

use super::files::{ReadError, without_controls};

/// Why a request did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// This file is at fault.
    File(String),
    /// The service failed; perhaps because of this file.
    Service(String),
    /// The service is away or busy. It may say for how long.
    Away(String, Option<Duration>),
    /// Each other file would fail, too.
    Fatal(String),
}

/// Why there is no answer: the file could not be read, or the service is away.
pub fn no_answer(error: &(dyn Error + 'static)) -> Failure {
    let causes: Vec<_> = std::iter::successors(Some(error), |&error| error.source()).collect();
    match causes.iter().find_map(|cause| cause.downcast_ref::<ReadError>()) {
        Some(error) => Failure::File(error.to_string()),
        None => {
            let cause = causes.last().map(ToString::to_string).unwrap_or_default();
            Failure::Away(format!("the service cannot be reached: {cause}"), None)
        }
    }
}

/// What an answer means for the file, by its status.
pub fn judge(answer: Response<Bytes>) -> Result<Response<Bytes>, Failure> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let reason = reason(&answer);
    Err(match status.as_u16() {
        300..=399 => {
            let address = answer.headers().get(LOCATION).map(|address| String::from_utf8_lossy(address.as_bytes()));
            Failure::Fatal(format!("the service is elsewhere: {}", without_controls(&address.unwrap_or_default())))
        }
        401 => Failure::Fatal("the service does not accept the API key".to_owned()),
        403 | 507 => Failure::Fatal(reason),
        408 | 409 | 423 | 429 | 502..=504 => Failure::Away(reason, retry_after(answer.headers())),
        500..=599 => Failure::Service(reason),
        _ => Failure::File(reason),
    })
}

/// The message of the service. What stands before it may answer otherwise.
fn reason(answer: &Response<Bytes>) -> String {
    #[derive(Deserialize)]
    struct Body {
        error: Message,
    }
    #[derive(Deserialize)]
    struct Message {
        message: String,
    }
    match serde_json::from_slice::<Body>(answer.body()) {
        Ok(body) => without_controls(&body.error.message),
        Err(_) => format!("the answer is {}", answer.status()),
    }
}

/// Seconds or a date (RFC 9110).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let seconds = text.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).ok())
}

/// The body of an answer.
pub fn read<'a, T: Deserialize<'a>>(answer: &'a Response<Bytes>) -> Result<T, Failure> {
    serde_json::from_slice(answer.body())
        .map_err(|error| Failure::Fatal(format!("this is not the media service: its answer cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_in_seconds_or_until_a_date() {
        let pause = |value: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]));
        assert_eq!(pause("7"), Some(Duration::from_secs(7)));
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        assert!(pause(&date).is_some_and(|pause| (98..=100).contains(&pause.as_secs())), "{date}");
        for bad in ["soon", "-1", "Sun, 06 Nov 1994 08:49:37 GMT"] {
            assert_eq!(pause(bad), None, "{bad}");
        }
    }
}
