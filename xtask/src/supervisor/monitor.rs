//! Restarts the committed instance when it ends by itself.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;

use super::instance::{Inlet, Instance};
use super::protocol::{Exit, Role};
use super::shared::{Entry, Serving, Shared};

/// The pause before the first restart.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// After this long without a crash, the pause is the first one again.
const STABLE_AFTER: Duration = Duration::from_secs(60);

/// Monitors this instance from now on.
pub(super) fn start(shared: &Rc<Shared>, instance: Instance, entry: Entry) -> Serving {
    let (stop, stop_asked) = oneshot::channel();
    let task = tokio::task::spawn_local(monitor(Rc::clone(shared), instance, entry, stop_asked));
    Serving { stop, task }
}

async fn monitor(shared: Rc<Shared>, mut instance: Instance, entry: Entry, mut stop: oneshot::Receiver<()>) -> Exit {
    let spec = Arc::clone(&instance.spec);
    let mut pause = FIRST_PAUSE;
    loop {
        let crash = tokio::select! {
            exit = instance.exited() => exit,
            _ = &mut stop => {
                entry.role(Role::Draining);
                return instance.stop(spec.stop_timeout).await;
            }
        };
        entry.crashed(&crash.ended);
        if instance.started.elapsed() >= STABLE_AFTER {
            pause = FIRST_PAUSE;
        }
        instance = loop {
            shared.log(format_args!("{} {}: restarts in {pause:?}", spec.id, spec.version));
            tokio::select! {
                () = sleep(pause) => {}
                _ = &mut stop => return crash,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            let inlet = match &instance.backend {
                Some(backend) => Ok(Inlet::Port(Rc::clone(backend))),
                None => shared.public_listener().map(Inlet::Socket),
            };
            let started = inlet.and_then(|inlet| Instance::start(&shared, Arc::clone(&spec), inlet, Role::Serving));
            match started {
                Ok(instance) => break instance,
                Err(error) => shared.log(format_args!("{} {}: {error:#}", spec.id, spec.version)),
            }
        };
        entry.restarted(instance.pid);
    }
}
