//! Whether the state can be locked, which is tried: OpenTofu's lock is an object that is written if it is not there yet
//! (`use_lockfile`) and deleted afterwards. A service that does not read the condition lets everybody have the lock; one
//! that keeps old versions and takes a deleted object for one that is there (versitygw 1.8.0) gives it once and never again.

use jiff::Timestamp;

use super::found::Found;
use super::{Mend, StateBucket, provider};
use crate::bootstrap::item::Item;
use crate::clients::s3::Bucket;
use crate::clients::s3::error::{Kind, Result, S3Error};
use crate::config::Provider;
use crate::failure::Failure;

/// What is ours in the bucket begins so.
pub const OURS: &str = ".xtask/";

/// Is there where old versions cannot be kept, because no lock would be freed any more.
pub const WITHOUT_VERSIONS: &str = ".xtask/without-old-versions";

/// What an object that is tried with begins with; a name of its own for each try follows, so that what a try has left
/// behind that was killed is in nobody's way.
const PROBE: &str = ".xtask/probe-";

/// Milliseconds after which a try is certainly over, and what it has left behind may go.
const OVER: i64 = 60 * 60 * 1000;

const SAYS: &str = "xtask tries whether a state can be locked here; this may be deleted\n";
const CANNOT: &str = "xtask has tried: in a bucket that keeps old versions, this service does not free a lock again. \
    Without this object, that is tried anew.\n";

/// What a try has shown.
#[derive(Debug, PartialEq)]
pub enum Proof {
    /// A state can be locked.
    Locks,
    /// Nothing is locked, because of this.
    Fails(String),
}

/// What came of a try, and what it has left behind: objects and their versions.
type Tried = (Result<Proof>, Vec<(String, Option<String>)>);

impl StateBucket<'_> {
    /// Tries it, and removes what earlier tries have left behind.
    pub(super) async fn locking(&self, found: &Found) -> std::result::Result<Item<Mend>, Failure> {
        let should = "the second of two conditional writes refused";
        let left = found.keys.iter().flatten().filter(|key| is_left(key)).cloned().collect();
        match prove(&self.bucket, matches!(found.versioning, Ok(true)), left).await {
            Ok(Proof::Locks) => Ok(Item::good("locking", should)),
            Ok(Proof::Fails(why)) => {
                let next = "no state can be locked here, and two applies at once would destroy it: take another service, \
                    or another bucket";
                Ok(Item::refused("locking", format!("not possible, as {why}"), should, next))
            }
            Err(error) => Err(self.explain(error)),
        }
    }

    /// Has the bucket keep old versions. There is no way back from there, so it is tried on another bucket first whether
    /// locks are freed then: of Amazon's it is known.
    pub(super) async fn keep_versions(&self) -> std::result::Result<(), Failure> {
        if self.provider() != Provider::Aws {
            let name = &self.infra.stack.state.bucket;
            // Names have 63 characters at most, of which these are ASCII alone.
            let begins = name[..name.len().min(40)].trim_end_matches(['-', '.']);
            let other = self.bucket.beside(format!("{begins}-{}", chance()));
            let proof = self.prove_beside(&other).await.map_err(|error| self.explain(error))?;
            if let Proof::Fails(why) = proof {
                self.infra.report.warn(&format!("{name} does not keep old versions: {why}"));
                return match self.bucket.put_new(WITHOUT_VERSIONS, CANNOT).await {
                    Err(error) if error.kind != Kind::Condition => Err(self.explain(error)),
                    _ => Ok(()),
                };
            }
        }
        self.bucket.put_versioning().await.map_err(|error| self.explain(error))
    }

    async fn prove_beside(&self, other: &Bucket) -> Result<Proof> {
        other.create(provider::constraint(self.provider(), &self.infra.stack.state.region)).await?;
        let proof = async {
            other.put_versioning().await?;
            prove(other, true, Vec::new()).await
        };
        let proof = proof.await;
        other.remove().await?;
        proof
    }
}

/// Tries it: three requests one after another, with old versions four. Nothing of it is left.
pub async fn prove(bucket: &Bucket, versions: bool, left: Vec<String>) -> Result<Proof> {
    let (first, second) = (format!("{PROBE}{}", chance()), format!("{PROBE}{}", chance()));
    let (twice, freed) = tokio::join!(
        Box::pin(twice(bucket, first)),
        Box::pin(async { if versions { freed(bucket, second).await } else { (Ok(Proof::Locks), Vec::new()) } }),
    );
    let mut gone = [twice.1, freed.1].concat();
    gone.dedup();
    gone.extend(left.into_iter().map(|key| (key, None)));
    let deleted = if gone.is_empty() { Ok(()) } else { bucket.delete_all(&gone).await };
    let proof = match (twice.0?, freed.0?) {
        (Proof::Locks, freed) => freed,
        (fails, _) => fails,
    };
    deleted.map(|()| proof)
}

/// Takes a lock twice, of which the second time must be refused.
async fn twice(bucket: &Bucket, key: String) -> Tried {
    let first = match bucket.put_new(&key, SAYS).await {
        Ok(version) => version,
        Err(S3Error { kind: Kind::Unsupported, said, .. }) => {
            return (Ok(Proof::Fails(format!("conditional writes are not known here: {said}"))), Vec::new());
        }
        Err(error) => return (Err(error), Vec::new()),
    };
    let second = bucket.put_new(&key, SAYS).await;
    let mut left = vec![(key.clone(), first)];
    let proof = match second {
        Err(error) if error.kind == Kind::Condition => Ok(Proof::Locks),
        Err(error) => Err(error),
        Ok(version) => {
            left.push((key, version));
            Ok(Proof::Fails("the second of two conditional writes was not refused".to_owned()))
        }
    };
    (proof, left)
}

/// Takes a lock, frees it, and takes it again.
async fn freed(bucket: &Bucket, key: String) -> Tried {
    let mut left = Vec::new();
    let tried = async {
        left.push((key.clone(), bucket.put_new(&key, SAYS).await?));
        left.push((key.clone(), bucket.delete(&key).await?));
        left.push((key.clone(), bucket.put_new(&key, SAYS).await?));
        Ok(Proof::Locks)
    };
    let proof = match tried.await {
        Err(S3Error { kind: Kind::Condition, .. }) => Ok(Proof::Fails(
            "a lock that was freed is not free again: a deleted object counts as one that is there".to_owned(),
        )),
        // The other try tells of a service that does not know them.
        Err(S3Error { kind: Kind::Unsupported, .. }) => Ok(Proof::Locks),
        other => other,
    };
    (proof, left)
}

/// What nobody else has: the time, in milliseconds, and chance.
fn chance() -> String {
    let mut chance = [0u8; 4];
    getrandom::fill(&mut chance).expect("the operating system has random bytes, or nothing of this would run");
    format!("{}-{}", Timestamp::now().as_millisecond(), hex::encode(chance))
}

/// Whether an object is of a try that is over: its name says when that began.
fn is_left(key: &str) -> bool {
    let began = key.strip_prefix(PROBE).and_then(|name| name.split_once('-')?.0.parse::<i64>().ok());
    began.is_some_and(|began| began + OVER < Timestamp::now().as_millisecond())
}
