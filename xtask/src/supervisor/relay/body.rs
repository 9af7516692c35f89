//! Bodies: what a client or a service sends, or a few words of the relay.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};

use super::backend::InProgress;

/// The body of a request or an answer.
pub(super) enum Relayed {
    /// Of a client's request.
    Request(Incoming),
    /// Of the service. Its request is in progress until the client has all of it.
    Answer { body: Incoming, _in_progress: InProgress },
    /// Of the relay itself; with none, there is no body.
    Own(Option<Bytes>),
}

impl Relayed {
    pub(super) fn text(text: String) -> Self {
        Self::Own(Some(Bytes::from(text)))
    }
}

impl Body for Relayed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Request(body) | Self::Answer { body, .. } => Pin::new(body).poll_frame(context),
            Self::Own(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Request(body) | Self::Answer { body, .. } => body.is_end_stream(),
            Self::Own(text) => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Request(body) | Self::Answer { body, .. } => body.size_hint(),
            Self::Own(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
        }
    }
}
