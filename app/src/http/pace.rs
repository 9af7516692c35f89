//! The slowest that a request's body may be.
//!
//! A limit on the time between two bytes is not enough: a client that sends a byte from time to time would keep its place among the uploads
//! until the request's time is over.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// How long a client may take for each [`LEAST`] of a body, or for what is left of it.
const WINDOW: Duration = Duration::from_secs(30);

/// In bytes: about 1 KiB a second, which any link has that a picture is sent on.
const LEAST: usize = 32 * 1024;

/// The error of a body that was too slow.
#[derive(Debug, thiserror::Error)]
#[error("the body arrived too slowly")]
pub struct TooSlow;

/// A body that ends with [`TooSlow`] when it is.
struct Paced {
    body: Body,
    window: Duration,
    least: usize,
    /// Bytes since the window began.
    arrived: usize,
    /// How much longer the service waits in this window. Only waiting counts: what the service does with the body may take long.
    left: Duration,
    /// The end of the window, while the service waits.
    end: Option<Pin<Box<Sleep>>>,
}

/// A middleware that watches over the pace of a request's body.
pub async fn watch(request: Request) -> Request {
    request.map(|body| Body::new(Paced::new(body, WINDOW, LEAST)))
}

impl Paced {
    fn new(body: Body, window: Duration, least: usize) -> Self {
        Self { body, window, least, arrived: 0, left: window, end: None }
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()).and_then(Frame::data_ref);
            self.arrived += bytes.map_or(0, Bytes::len);
            if let Some(end) = self.end.take() {
                self.left = end.deadline().saturating_duration_since(Instant::now());
            }
            if self.arrived >= self.least {
                (self.arrived, self.left) = (0, self.window);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let left = self.left;
        let end = self.end.get_or_insert_with(|| Box::pin(sleep(left)));
        end.as_mut().poll(cx).map(|()| Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};
    use http_body_util::BodyExt as _;

    use super::*;

    /// A body that has so many frames of this size, one each time.
    fn dripping(frames: usize, size: usize, every: Duration) -> Body {
        let frames = stream::iter(0..frames).then(move |_| async move {
            sleep(every).await;
            Ok::<_, TooSlow>(Bytes::from(vec![0; size]))
        });
        Body::from_stream(frames)
    }

    async fn received(body: Body) -> Result<usize, String> {
        let paced = Paced::new(body, Duration::from_millis(200), 100);
        paced.collect().await.map(|body| body.to_bytes().len()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_body_may_take_its_time_but_not_drip() {
        let started = Instant::now();
        let every = Duration::from_millis(20);
        assert_eq!(received(dripping(500, 1, every)).await, Err(TooSlow.to_string()));
        assert!(started.elapsed() >= Duration::from_millis(200));
        assert_eq!(
            received(Body::from_stream(stream::pending::<Result<Bytes, TooSlow>>())).await,
            Err(TooSlow.to_string())
        );
        // Longer than the window, and fast enough.
        assert_eq!(received(dripping(20, 100, every)).await, Ok(2000));
        // Less than that, but all of it.
        assert_eq!(received(Body::from("{}")).await, Ok(2));
    }
}
