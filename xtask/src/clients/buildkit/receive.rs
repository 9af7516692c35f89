//! The image that a `buildkitd` sends back, of which only the size matters.

use std::io;
use std::sync::Mutex;

use anyhow::Result;
use bollard_buildkit_proto::moby::filesync::v1::BytesMessage;
use bollard_buildkit_proto::moby::filesync::v1::file_send_server::FileSend;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::oneshot;
use tokio_util::io::StreamReader;
use tonic::{Request, Response, Status, Streaming};

use crate::clients::docker::{Compress, Measured, measure};

/// Takes one image and measures it.
pub(super) struct Receiver(Mutex<Option<oneshot::Sender<Result<Measured>>>>);

impl Receiver {
    /// The receiver, and what it will have found.
    pub fn new() -> (Self, oneshot::Receiver<Result<Measured>>) {
        let (sender, measured) = oneshot::channel();
        (Self(Mutex::new(Some(sender))), measured)
    }
}

#[tonic::async_trait]
impl FileSend for Receiver {
    type DiffCopyStream = BoxStream<'static, Result<BytesMessage, Status>>;

    async fn diff_copy(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::DiffCopyStream>, Status> {
        let sender = self.0.lock().ok().and_then(|mut sender| sender.take());
        let sender = sender.ok_or_else(|| Status::failed_precondition("one image is taken"))?;
        let chunks = request.into_inner().map(|chunk| match chunk {
            Ok(message) => Ok(io::Cursor::new(message.data)),
            Err(status) => Err(io::Error::other(status)),
        });
        // The answer has to begin before all of it is here.
        let end = stream::once(async move {
            let measured = measure(StreamReader::new(chunks), Compress::No).await;
            // Nobody waits for it any more when the build was dropped.
            sender.send(measured).ok();
        });
        Ok(Response::new(end.filter_map(async |()| None).boxed()))
    }
}
