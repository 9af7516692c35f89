//! The open connections, of which there are so many at most.
//!
//! Without a limit, connections would take all file descriptors, and the service could neither accept a connection nor open a
//! file. When the limit is reached, the connection that has been idle the longest makes place for the next one; if none is idle,
//! the one that has been sending the head of its request the longest; and if there is none of those either, the next one waits.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use rustix::process::{Resource, getrlimit};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::activity::{Activity, Phase};

/// Enough for any team; each takes some kilobytes of memory.
const MOST: u64 = 10_000;

/// Cheap to clone.
#[derive(Clone)]
pub struct OpenConnections(Arc<List>);

struct List {
    places: Arc<Semaphore>,
    became_idle: Arc<Notify>,
    open: Mutex<HashMap<u64, Arc<Activity>>>,
}

/// A connection in the list, until this is dropped.
pub struct OpenConnection {
    number: u64,
    activity: Arc<Activity>,
    list: Arc<List>,
    _place: OwnedSemaphorePermit,
}

/// As many connections as half of the files that this process may have open: the other half is for uploads, decoders, and connections to
/// the database and the store.
pub fn most() -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from((files / 2).clamp(1, MOST)).unwrap_or(usize::MAX)
}

impl OpenConnections {
    /// As many as [`most`].
    pub fn of_this_process() -> Self {
        let (places, became_idle) = (Arc::new(Semaphore::new(most())), Arc::default());
        Self(Arc::new(List { places, became_idle, open: Mutex::default() }))
    }

    /// Waits for a place.
    pub async fn place(&self) -> OwnedSemaphorePermit {
        loop {
            if let Ok(place) = self.0.places.clone().try_acquire_owned() {
                return place;
            }
            let evicted = self.0.evict();
            tokio::select! {
                // The semaphore is never closed.
                Ok(place) = self.0.places.clone().acquire_owned() => return place,
                () = self.0.became_idle.notified(), if !evicted => {}
            }
        }
    }

    /// Adds a connection that is open from now on. No other has this number.
    pub fn add(&self, number: u64, place: OwnedSemaphorePermit) -> OpenConnection {
        let activity = Arc::new(Activity::new(self.0.became_idle.clone()));
        self.0.lock().insert(number, activity.clone());
        OpenConnection { number, activity, list: self.0.clone(), _place: place }
    }
}

impl OpenConnection {
    pub fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.list.lock().remove(&self.number);
    }
}

impl List {
    /// Closes a connection; returns false if each has a request.
    fn evict(&self) -> bool {
        let open = self.lock();
        let waiting = open.values().map(|activity| (activity, activity.phase()));
        let longest = waiting.filter_map(|(activity, phase)| match phase {
            Phase::Idle(since) => Some((false, since, activity, phase)),
            Phase::Head(since) => Some((true, since, activity, phase)),
            _ => None,
        });
        let longest = longest.min_by_key(|(is_head, since, ..)| (*is_head, *since));
        longest.is_some_and(|(_, _, activity, phase)| activity.evict(phase))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Activity>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
