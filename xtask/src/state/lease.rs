//! One deploy per environment at a time.
//!
//! The lease is one object that is only ever replaced by conditional writes. Its token grows with every holder, so a
//! holder that lost the lease without noticing can be told from the one that has it (fencing). A holder renews it every
//! third of its time to live; one that stops is taken over from when that time is up, or at once when it was a process of
//! this machine that is gone.

use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::store::Store;
use crate::tools::host;

const KEY: &str = "lease.json";

/// A holder that has not renewed for this long is gone.
pub const TTL: Duration = Duration::from_secs(60);

/// Who holds the lease, for what and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// `user@machine`.
    pub who: String,
    /// What the holder is doing, for people: `deploy 3f9c2d1a4b7e`.
    pub message: String,
    /// The toolkit's version.
    pub version: String,
    /// The process.
    pub process: host::Process,
    /// When it was taken.
    pub since: Timestamp,
    /// When it was last renewed.
    pub renewed: Timestamp,
}

impl Holder {
    /// This process.
    pub fn this_process(message: String) -> Self {
        let now = Timestamp::now();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self { who: host::who(), message, version, process: host::Process::this(), since: now, renewed: now }
    }

    fn is_gone(&self) -> bool {
        self.process.is_known_dead() || Timestamp::now().duration_since(self.renewed) > ttl()
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Object {
    token: u64,
    holder: Option<Holder>,
}

/// Why the lease was not had.
#[derive(Debug)]
pub enum TakeError {
    /// Somebody else has it.
    Held(Box<Holder>),
    /// It could not be read or written.
    Broken(anyhow::Error),
}

/// The lease, held. [`Lease::release`] gives it back; a process that dies leaves it to its time to live.
pub struct Lease {
    store: Store,
    token: u64,
    lost: watch::Receiver<Option<String>>,
    renewal: tokio::task::JoinHandle<()>,
}

impl Lease {
    /// Takes the lease, or tells who has it. Returns also the holder that was taken over from, if there was one.
    pub fn take(store: &Store, holder: Holder) -> Result<(Self, Option<Holder>), TakeError> {
        let (object, etag) = read(store).map_err(TakeError::Broken)?;
        if let Some(other) = &object.holder
            && !other.is_gone()
        {
            return Err(TakeError::Held(Box::new(other.clone())));
        }
        let token = object.token + 1;
        let mine = Object { token, holder: Some(holder) };
        if !write(store, &mine, etag.as_deref()).map_err(TakeError::Broken)? {
            // Somebody was faster; who that was is what the caller wants to know.
            let (object, _) = read(store).map_err(TakeError::Broken)?;
            let broken =
                || TakeError::Broken(anyhow::anyhow!("the lease was taken and given back meanwhile; try again"));
            return Err(object.holder.map_or_else(broken, |other| TakeError::Held(Box::new(other))));
        }
        let (tell, lost) = watch::channel(None);
        let renewal = tokio::spawn(renew(store.clone(), token, tell));
        Ok((Self { store: store.clone(), token, lost, renewal }, object.holder))
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

    /// Looks whether the lease is still held: to be asked right before what cannot be undone.
    pub fn verify(&self) -> Result<()> {
        let (object, _) = read(&self.store)?;
        anyhow::ensure!(
            object.token == self.token && object.holder.is_some(),
            "the lease is no longer held by this deploy"
        );
        Ok(())
    }

    /// Gives the lease back.
    pub fn release(&self) -> Result<()> {
        self.renewal.abort();
        let (object, etag) = read(&self.store)?;
        if object.token == self.token {
            write(&self.store, &Object { token: self.token, holder: None }, etag.as_deref())?;
        }
        Ok(())
    }
}

/// Who holds the lease now: a holder that is gone is none.
pub fn status(store: &Store) -> Result<Option<Holder>> {
    Ok(read(store)?.0.holder.filter(|holder| !holder.is_gone()))
}

/// Takes the lease away from whoever holds it, and tells who that was. The next holder's token is greater, so the old
/// one finds out at its next renewal or check and stops.
pub fn break_lease(store: &Store) -> Result<Option<Holder>> {
    let (object, etag) = read(store)?;
    let broken = Object { token: object.token + 1, holder: None };
    anyhow::ensure!(write(store, &broken, etag.as_deref())?, "the lease changed in this moment; look again and repeat");
    Ok(object.holder)
}

async fn renew(store: Store, token: u64, tell: watch::Sender<Option<String>>) {
    let mut last_success = Timestamp::now();
    loop {
        tokio::time::sleep(TTL / 3).await;
        match renew_once(&store, token) {
            Ok(true) => last_success = Timestamp::now(),
            Ok(false) => {
                tell.send_replace(Some("the lease was broken or taken over by somebody else".to_owned()));
                return;
            }
            // A store that is away for a moment is no reason to stop, as long as nobody else can have taken over.
            Err(error) if Timestamp::now().duration_since(last_success) >= ttl() => {
                tell.send_replace(Some(format!("the lease could not be renewed for {} s: {error:#}", TTL.as_secs())));
                return;
            }
            Err(_) => {}
        }
    }
}

fn renew_once(store: &Store, token: u64) -> Result<bool> {
    let (mut object, etag) = read(store)?;
    match &mut object.holder {
        Some(holder) if object.token == token => holder.renewed = Timestamp::now(),
        _ => return Ok(false),
    }
    write(store, &object, etag.as_deref())
}

fn read(store: &Store) -> Result<(Object, Option<String>)> {
    let Some(object) = store.get(KEY).context("read the lease")? else { return Ok((Object::default(), None)) };
    let parsed =
        serde_json::from_slice(&object.bytes).with_context(|| format!("the lease ({KEY}) is not what it should be"))?;
    Ok((parsed, Some(object.etag)))
}

fn write(store: &Store, object: &Object, expected: Option<&str>) -> Result<bool> {
    let bytes = serde_json::to_vec_pretty(object).context("write the lease as JSON")?;
    store.put(KEY, &bytes, expected).context("write the lease")
}

fn ttl() -> SignedDuration {
    SignedDuration::from_secs(TTL.as_secs().cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::store::scratch;

    fn elsewhere(renewed: Timestamp) -> Holder {
        let mut holder = Holder::this_process("deploy abc".to_owned());
        holder.process = host::Process { machine: "another machine".to_owned(), ..holder.process };
        holder.renewed = renewed;
        holder
    }

    #[tokio::test]
    async fn a_second_holder_is_told_who_has_it() {
        let (_folder, store) = scratch();
        let (lease, _) = Lease::take(&store, Holder::this_process("deploy abc".to_owned())).unwrap();
        let Err(TakeError::Held(holder)) = Lease::take(&store, Holder::this_process("deploy def".to_owned())) else {
            panic!("the lease was had twice");
        };
        assert_eq!(holder.message, "deploy abc");
        lease.release().unwrap();
        let (again, from) = Lease::take(&store, Holder::this_process("deploy def".to_owned())).unwrap();
        assert!(from.is_none());
        assert_eq!(again.token(), 2);
    }

    #[tokio::test]
    async fn a_holder_elsewhere_is_gone_only_when_its_time_is_up() {
        let (_folder, store) = scratch();
        let now = Timestamp::now();
        write(&store, &Object { token: 7, holder: Some(elsewhere(now)) }, None).unwrap();
        assert!(matches!(Lease::take(&store, elsewhere(now)), Err(TakeError::Held(_))));
        let (_, etag) = read(&store).unwrap();
        let expired = now - SignedDuration::from_secs(61);
        write(&store, &Object { token: 7, holder: Some(elsewhere(expired)) }, etag.as_deref()).unwrap();
        assert!(status(&store).unwrap().is_none());
        let (lease, from) = Lease::take(&store, elsewhere(now)).unwrap();
        assert_eq!((lease.token(), from.is_some()), (8, true));
    }

    #[tokio::test]
    async fn a_broken_lease_is_noticed_and_not_given_back() {
        let (_folder, store) = scratch();
        let (lease, _) = Lease::take(&store, Holder::this_process("one".to_owned())).unwrap();
        assert_eq!(break_lease(&store).unwrap().unwrap().message, "one");
        assert!(lease.verify().is_err());
        assert!(!renew_once(&store, lease.token()).unwrap());
        let (second, _) = Lease::take(&store, Holder::this_process("two".to_owned())).unwrap();
        lease.release().unwrap();
        second.verify().unwrap();
    }
}
