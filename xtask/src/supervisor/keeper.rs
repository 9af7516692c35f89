//! Keeps the committed instance running: what ends by itself is started again.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::instance::Instance;
use super::protocol::{Exit, Role};
use super::shared::{Seat, Shared};

/// The pause before the first restart.
const FIRST: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);

/// After running this long, a crash counts as the first again.
const SETTLED: Duration = Duration::from_secs(60);

/// The committed instance and the task that keeps it.
pub(super) struct Keeper {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Exit>,
}

impl Keeper {
    /// Keeps this instance from now on.
    pub(super) fn start(shared: &Rc<Shared>, instance: Instance, seat: Seat) -> Self {
        let (stop, stop_asked) = oneshot::channel();
        let task = tokio::task::spawn_local(keep(Rc::clone(shared), instance, seat, stop_asked));
        Self { stop, task }
    }

    /// Lets the instance drain, and waits for its end.
    pub(super) async fn end(self) -> Option<Exit> {
        // The task only ends because of this, so it listens.
        self.stop.send(()).ok();
        self.task.await.ok()
    }
}

async fn keep(shared: Rc<Shared>, mut instance: Instance, seat: Seat, mut stop: oneshot::Receiver<()>) -> Exit {
    let spec = Arc::clone(&instance.spec);
    let mut pause = FIRST;
    loop {
        let crash = tokio::select! {
            exit = instance.exited() => exit,
            _ = &mut stop => {
                seat.role(Role::Draining);
                return instance.stop(spec.stop_timeout).await;
            }
        };
        seat.crashed(&crash.ended);
        if instance.started.elapsed() >= SETTLED {
            pause = FIRST;
        }
        instance = loop {
            shared.log(format_args!("{} {}: starts again in {pause:?}", spec.id, spec.version));
            tokio::select! {
                () = sleep(pause) => {}
                _ = &mut stop => return crash,
            }
            pause = (pause * 2).min(LONGEST);
            let started =
                shared.public_listener().and_then(|listener| Instance::start(&shared, Arc::clone(&spec), listener));
            match started {
                Ok(instance) => break instance,
                Err(error) => shared.log(format_args!("{} {}: {error:#}", spec.id, spec.version)),
            }
        };
        seat.restarted(instance.pid);
    }
}
