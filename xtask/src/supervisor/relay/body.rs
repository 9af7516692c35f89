//! The body of an answer: the service's, or a few words of the relay.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};

use super::backend::InProgress;

/// The body of an answer.
pub(super) enum Answer {
    /// Of the service. Its request is in progress until the client has all of it.
    Relayed { body: Incoming, _in_progress: InProgress },
    /// Of the relay itself.
    Own(Option<Bytes>),
}

impl Answer {
    pub(super) fn text(text: String) -> Self {
        Self::Own(Some(Bytes::from(text)))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Relayed { body, .. } => Pin::new(body).poll_frame(context),
            Self::Own(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Relayed { body, .. } => body.is_end_stream(),
            Self::Own(text) => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Relayed { body, .. } => body.size_hint(),
            Self::Own(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
        }
    }
}
