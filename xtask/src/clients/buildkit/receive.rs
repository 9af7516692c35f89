//! Receives the image that a `buildkitd` sends back, and measures it.

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

/// Receives one image.
pub(super) struct Receiver(Mutex<Option<oneshot::Sender<Result<Measured>>>>);

impl Receiver {
    /// The receiver, and where its measurement arrives.
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
        let sender = sender.ok_or_else(|| Status::failed_precondition("this session receives one image"))?;
        let chunks = request.into_inner().map(|chunk| match chunk {
            Ok(message) => Ok(io::Cursor::new(message.data)),
            Err(status) => Err(io::Error::other(status)),
        });
        // The response has to begin before the whole image has arrived.
        let end = stream::once(async move {
            let measured = measure(StreamReader::new(chunks), Compress::No).await;
            // The other end is gone when the build was dropped.
            sender.send(measured).ok();
        });
        Ok(Response::new(end.filter_map(async |()| None).boxed()))
    }
}
