//! What a connection does at the moment.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use hyper::body::{Body, Frame, SizeHint};
use tokio::{sync::Notify, time::Instant};

/// What a connection does. In this order, and then from [`Phase::Idle`] to [`Phase::Head`] again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Receives the head of a request, since then; at first, since it is open.
    Head(Instant),
    /// Receives the body of a request.
    Receiving,
    /// Has received a request, and has no answer yet.
    Working,
    /// Sends an answer.
    Sending,
    /// Sends what happens, until the client leaves.
    Streaming,
    /// Has all of an answer, but the kernel has not taken it yet.
    Flushing,
    /// Waits for the next request since then.
    Idle(Instant),
    /// Is to be closed, to make place for another.
    Evicted,
}

/// What one connection does; shared by its stream, its requests and the list of open connections.
pub struct Activity {
    phase: Mutex<Phase>,
    evicted: Notify,
    /// Told when any connection becomes idle.
    became_idle: Arc<Notify>,
}

impl Activity {
    pub fn new(became_idle: Arc<Notify>) -> Self {
        Self { phase: Mutex::new(Phase::Head(Instant::now())), evicted: Notify::new(), became_idle }
    }

    pub fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes have arrived.
    pub fn received(&self) {
        self.change(|phase| matches!(phase, Phase::Idle(_)).then(|| Phase::Head(Instant::now())));
    }

    /// The head of a request has arrived.
    pub fn begin(&self) {
        self.change(|_| Some(Phase::Receiving));
    }

    /// There is an answer, whose body is sent in this phase.
    pub fn answer(&self, phase: Phase) {
        self.change(|_| Some(phase));
    }

    /// The kernel has taken everything. Returns whether this has ended an answer.
    pub fn flushed(&self) -> bool {
        let is_idle = self.change(|phase| (phase == Phase::Flushing).then(|| Phase::Idle(Instant::now())));
        if is_idle {
            self.became_idle.notify_one();
        }
        is_idle
    }

    /// Closes the connection. Returns false if it is no longer in this phase: a request has begun.
    pub fn evict(&self, expected: Phase) -> bool {
        let is_evicted = self.change(|phase| (phase == expected).then_some(Phase::Evicted));
        if is_evicted {
            self.evicted.notify_one();
        }
        is_evicted
    }

    /// Waits until the connection is to be closed.
    pub async fn until_evicted(&self) {
        self.evicted.notified().await;
    }

    /// An evicted connection stays so.
    fn change(&self, next: impl FnOnce(Phase) -> Option<Phase>) -> bool {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let next = if *phase == Phase::Evicted { None } else { next(*phase) };
        *phase = next.unwrap_or(*phase);
        next.is_some()
    }
}

/// A body whose end ends a phase: its last byte, or that it is dropped.
pub struct Watched<B> {
    body: B,
    end: Option<EndOfBody>,
}

struct EndOfBody {
    activity: Arc<Activity>,
    from: Phase,
    to: Phase,
}

impl<B: Body> Watched<B> {
    /// The body of a request.
    pub fn received(body: B, activity: &Arc<Activity>) -> Self {
        Self::new(body, EndOfBody { activity: activity.clone(), from: Phase::Receiving, to: Phase::Working })
    }

    /// The body of an answer, which is sent in this phase.
    pub fn sent(body: B, activity: &Arc<Activity>, phase: Phase) -> Self {
        Self::new(body, EndOfBody { activity: activity.clone(), from: phase, to: Phase::Flushing })
    }

    fn new(body: B, end: EndOfBody) -> Self {
        let end = (!body.is_end_stream()).then_some(end);
        Self { body, end }
    }
}

impl<B: Body + Unpin> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) || self.body.is_end_stream() {
            self.end = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for EndOfBody {
    fn drop(&mut self) {
        self.activity.change(|phase| (phase == self.from).then_some(self.to));
    }
}
