//! One deploy per environment at a time.
//!
//! The lease is one object that is only replaced by conditional writes. Its token grows with every holder, so a holder
//! that lost the lease without noticing can be told from the one that has it (fencing). A holder renews it every third of
//! its time to live. Another deploy takes it over when that time is up without a renewal, or at once when the holder was a
//! process of this machine that has ended. A process of this machine that is stopped (Ctrl-Z) keeps it: what it has started
//! still stands, and it goes on when it is continued.
//!
//! Clocks: in a bucket, the time since the last renewal is what the server says (its `Date` minus the object's
//! `Last-Modified`), so no machine's clock matters; a server that does not say it makes a lease that only `lock break`
//! ends. In a folder, `renewed` is compared with this machine's clock. A holder measures its own time to live by the
//! monotonic clock of its process, and gives up when a sixth of it is left. The clock may stand still while a machine is
//! suspended, so [`Lease::verify`] asks the store right before each change that users would notice.

use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::store::{Put, Store, Versioned};
use crate::tools::host;

/// The object's key.
pub const KEY: &str = "lease.json";

/// A holder that has not renewed for this long is gone, if it did not set another time.
pub const TTL: Duration = Duration::from_secs(60);

/// Limit for [`Lease::verify`]: longer than a server that is away is waited for while a deploy is under way.
const VERIFY: Duration = Duration::from_secs(40);
/// Limit for [`Lease::release`]. A lease that is not released expires.
const RELEASE: Duration = Duration::from_secs(10);

/// Who holds the lease, for what and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// `user@machine`.
    pub who: String,
    /// What the holder is doing, for messages: `deploy 3f9c2d1a4b7e`.
    pub message: String,
    /// The toolkit's version.
    pub version: String,
    /// The process.
    pub process: host::Process,
    /// When it was taken.
    pub since: Timestamp,
    /// When it was last renewed, by the holder's clock.
    pub renewed: Timestamp,
    /// How long the holder may go without renewing.
    #[serde(default = "default_ttl")]
    pub ttl_ms: u64,
}

impl Holder {
    /// This process.
    pub fn this_process(message: String) -> Self {
        let now = Timestamp::now();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let process = host::Process::this();
        Self { who: host::who().to_owned(), message, version, process, since: now, renewed: now, ttl_ms: default_ttl() }
    }

    /// With another time to live than [`TTL`].
    pub fn with_ttl(self, ttl: Duration) -> Self {
        Self { ttl_ms: ttl.as_millis().try_into().unwrap_or(u64::MAX), ..self }
    }

    /// The time to live.
    pub fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl_ms)
    }
}

#[derive(Debug)]
pub enum TakeError {
    /// Another deploy has it.
    Held(Box<Holder>),
    /// It could not be read or written.
    Broken(anyhow::Error),
}

/// The lease, held. [`Lease::release`] gives it back. A process that ends without that leaves it to its time to live.
pub struct Lease {
    store: Store,
    token: u64,
    lost: watch::Receiver<Option<String>>,
    renewal: tokio::task::JoinHandle<()>,
}

impl Lease {
    /// Takes the lease, and also returns the holder that it was taken over from. Fails with the current holder.
    pub async fn take(store: &Store, holder: Holder) -> Result<(Self, Option<Holder>), TakeError> {
        let found = read(store).await.map_err(TakeError::Broken)?;
        if let Some(other) = found.holder(store) {
            return Err(TakeError::Held(Box::new(other.clone())));
        }
        let (begun, ttl, token) = (Instant::now(), holder.ttl(), found.object.token + 1);
        let mine = Object { token, holder: Some(holder) };
        if !write(store, &mine, found.etag.as_deref()).await.map_err(TakeError::Broken)? {
            // Another deploy was faster. The error names its holder.
            let other = read(store).await.map_err(TakeError::Broken)?.object.holder;
            let again = || TakeError::Broken(anyhow::anyhow!("another deploy took and released the lease; try again"));
            return Err(other.map_or_else(again, |other| TakeError::Held(Box::new(other))));
        }
        let (tell, lost) = watch::channel(None);
        let renewal = tokio::spawn(renew(store.clone(), token, ttl, begun, tell));
        Ok((Self { store: store.clone(), token, lost, renewal }, found.object.holder))
    }

    /// Grows with every holder of this environment's lease.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Ends when the lease is lost, with the reason.
    pub async fn lost(&self) -> anyhow::Error {
        let mut lost = self.lost.clone();
        match lost.wait_for(Option::is_some).await {
            Ok(reason) => anyhow::anyhow!(reason.clone().unwrap_or_default()),
            Err(_) => anyhow::anyhow!("the lease's renewal ended"),
        }
    }

    /// Asks the store whether the lease is still held. For use right before a change that cannot be undone.
    pub async fn verify(&self) -> Result<()> {
        let asked = timeout(VERIFY, read(&self.store)).await;
        let object = asked.with_context(|| format!("the lease could not be read for {} s", VERIFY.as_secs()))??.object;
        let why = match &object.holder {
            Some(_) if object.token == self.token => return Ok(()),
            Some(Holder { who, message, .. }) => format!("{who} has taken it over (\"{message}\")"),
            None => "it was broken (`lock break`), or another deploy had it meanwhile".to_owned(),
        };
        anyhow::bail!("the lease is no longer held by this deploy: {why}")
    }

    /// Gives the lease back.
    pub async fn release(&self) -> Result<()> {
        self.renewal.abort();
        let given = timeout(RELEASE, give_back(&self.store, self.token)).await;
        given.with_context(|| format!("the store took more than {} s; the lease ends by itself", RELEASE.as_secs()))?
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

/// The current holder. `None` if the lease is free or expired.
pub async fn status(store: &Store) -> Result<Option<Holder>> {
    Ok(read(store).await?.holder(store).cloned())
}

/// Takes the lease away from its holder, which is returned. The next holder's token is greater, so the old holder notices
/// at its next renewal or check, and stops.
pub async fn break_lease(store: &Store) -> Result<Option<Holder>> {
    let Read { object, etag, .. } = read(store).await?;
    let broken = Object { token: object.token + 1, holder: None };
    let is_broken = write(store, &broken, etag.as_deref()).await?;
    anyhow::ensure!(is_broken, "the lease changed in this moment; look again and repeat");
    Ok(object.holder)
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Object {
    token: u64,
    holder: Option<Holder>,
}

struct Read {
    object: Object,
    etag: Option<String>,
    age: Option<Duration>,
}

impl Read {
    /// The holder, if it is not gone.
    fn holder(&self, store: &Store) -> Option<&Holder> {
        let holder = self.object.holder.as_ref()?;
        let idle = if store.is_shared() {
            self.age
        } else {
            Some(Timestamp::now().duration_since(holder.renewed).try_into().unwrap_or(Duration::ZERO))
        };
        let is_late = idle.is_some_and(|idle| idle >= holder.ttl());
        let is_held = if is_late { holder.process.is_known_stopped() } else { !holder.process.is_known_dead() };
        is_held.then_some(holder)
    }
}

async fn renew(store: Store, token: u64, ttl: Duration, taken: Instant, tell: watch::Sender<Option<String>>) {
    let mut last = taken;
    let mut pause = ttl / 3;
    loop {
        tokio::time::sleep(pause).await;
        let begun = Instant::now();
        let limit = last + ttl * 5 / 6;
        // A process that was stopped goes on after its time. One attempt shows whether another deploy has taken over.
        let was_stopped = pause == ttl / 3 && begun >= limit;
        let deadline = if was_stopped { begun + ttl / 6 } else { limit };
        let reason = match timeout_at(deadline, renew_once(&store, token)).await {
            Ok(Ok(true)) => {
                (last, pause) = (begun, ttl / 3);
                continue;
            }
            Ok(Ok(false)) => {
                tell.send_replace(Some("the lease was broken or taken over by another deploy".to_owned()));
                return;
            }
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "the store does not answer".to_owned(),
        };
        // While no other deploy can have taken over, a store that is unreachable for a moment is no reason to stop.
        pause = ttl / 12;
        if Instant::now() + pause >= limit {
            let seconds = last.elapsed().as_secs();
            tell.send_replace(Some(format!("the lease could not be renewed for {seconds} s: {reason}")));
            return;
        }
    }
}

async fn renew_once(store: &Store, token: u64) -> Result<bool> {
    let Read { mut object, etag, .. } = read(store).await?;
    match &mut object.holder {
        Some(holder) if object.token == token => holder.renewed = Timestamp::now(),
        _ => return Ok(false),
    }
    write(store, &object, etag.as_deref()).await
}

async fn give_back(store: &Store, token: u64) -> Result<()> {
    loop {
        let Read { object, etag, .. } = read(store).await?;
        if object.token != token || object.holder.is_none() {
            return Ok(());
        }
        // Refused when the last renewal was still on its way; then the version to write over is another one.
        if write(store, &Object { token, holder: None }, etag.as_deref()).await? {
            return Ok(());
        }
    }
}

async fn read(store: &Store) -> Result<Read> {
    let Some(Versioned { bytes, etag, age }) = store.get(KEY).await.context("read the lease")? else {
        return Ok(Read { object: Object::default(), etag: None, age: None });
    };
    let object = serde_json::from_slice(&bytes)
        .with_context(|| format!("{KEY} in {} is damaged, or of a newer toolkit", store.location()))?;
    Ok(Read { object, etag: Some(etag), age })
}

async fn write(store: &Store, object: &Object, read: Option<&str>) -> Result<bool> {
    let bytes = serde_json::to_vec_pretty(object).context("write the lease as JSON")?;
    Ok(store.put_over(KEY, &bytes, read).await.context("write the lease")? != Put::Refused)
}

fn default_ttl() -> u64 {
    TTL.as_secs() * 1000
}

#[cfg(test)]
mod tests;
