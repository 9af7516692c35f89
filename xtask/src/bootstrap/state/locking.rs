//! Whether a state can be locked in the bucket. OpenTofu's lock (`use_lockfile`) is an object that it writes on condition
//! that there is none, and deletes afterwards. So a probe does the same. A service that ignores the condition gives the lock
//! to everyone; one that keeps old versions and counts a deleted object as existing (versitygw 1.8.0) gives it only once.

use jiff::Timestamp;

use super::answers::Answers;
use super::{Fix, StateBucket, provider};
use crate::bootstrap::item::Item;
use crate::clients::s3::Bucket;
use crate::clients::s3::error::{Kind, Result, S3Error};
use crate::config::Provider;
use crate::failure::Failure;

/// The prefix of the objects that bootstrap writes.
pub const OWN_FOLDER: &str = ".xtask/";

/// An object that marks a bucket in which locks work only without versioning.
pub const WITHOUT_VERSIONS: &str = ".xtask/without-old-versions";

/// The prefix of probe objects. Time and random digits follow, so that the object of an interrupted probe disturbs no other.
const PROBE: &str = ".xtask/probe-";

/// The age in milliseconds after which a probe's object is a leftover.
const LEFTOVER: i64 = 60 * 60 * 1000;

const PROBE_TEXT: &str = "xtask tests whether a state can be locked in this bucket; this object may be deleted\n";
const WITHOUT_VERSIONS_TEXT: &str = "With versioning on, this service does not release a lock: xtask has tested it.\n\
    Delete this object to repeat the test.\n";

/// The result of a probe.
#[derive(Debug, PartialEq)]
pub enum Probe {
    /// A state can be locked.
    Works,
    /// It cannot, for this reason.
    Fails(String),
}

/// The result of a probe, and the objects and versions that it left.
type Probed = (Result<Probe>, Vec<(String, Option<String>)>);

impl StateBucket<'_> {
    /// Probes the locks, and deletes the leftovers of earlier probes.
    pub(super) async fn locking(&self, answers: &Answers) -> std::result::Result<Item<Fix>, Failure> {
        let should = "the second of two conditional writes is refused";
        let leftovers = answers.keys.iter().flatten().filter(|key| is_leftover(key)).cloned().collect();
        match probe(&self.bucket, matches!(answers.versioning, Ok(true)), leftovers).await {
            Ok(Probe::Works) => Ok(Item::good("locking", should)),
            Ok(Probe::Fails(why)) => {
                let next =
                    "use another service or another bucket: two applies at the same time would destroy the state";
                Ok(Item::refused("locking", format!("does not work: {why}"), should, next))
            }
            Err(error) => Err(self.explain(error)),
        }
    }

    /// Turns versioning on. Some services cannot turn it off again, so the locks are probed in a temporary bucket first.
    /// Amazon's are known to work.
    pub(super) async fn enable_versioning(&self) -> std::result::Result<(), Failure> {
        if self.state.provider != Provider::Aws {
            let name = &self.state.bucket;
            // A bucket's name is ASCII and at most 63 characters long.
            let begin = name[..name.len().min(40)].trim_end_matches(['-', '.']);
            let temporary = self.bucket.beside(format!("{begin}-{}", unique()));
            let probe = self.probe_with_versions(&temporary).await.map_err(|error| self.explain(error))?;
            if let Probe::Fails(_) = probe {
                return match self.bucket.put_new(WITHOUT_VERSIONS, WITHOUT_VERSIONS_TEXT).await {
                    Err(error) if error.kind != Kind::Condition => Err(self.explain(error)),
                    _ => Ok(()),
                };
            }
        }
        self.bucket.put_versioning().await.map_err(|error| self.explain(error))
    }

    async fn probe_with_versions(&self, bucket: &Bucket) -> Result<Probe> {
        bucket.create(provider::constraint(self.state.provider, &self.state.region)).await?;
        let probed = async {
            bucket.put_versioning().await?;
            probe(bucket, true, Vec::new()).await
        };
        let probed = probed.await;
        bucket.remove().await?;
        probed
    }
}

/// Probes the locks: three requests one after another, with versioning four. Deletes what it wrote, and the leftovers.
pub async fn probe(bucket: &Bucket, versions: bool, leftovers: Vec<String>) -> Result<Probe> {
    let (first, second) = (format!("{PROBE}{}", unique()), format!("{PROBE}{}", unique()));
    let (twice, again) = tokio::join!(
        Box::pin(lock_twice(bucket, first)),
        Box::pin(async { if versions { lock_again(bucket, second).await } else { (Ok(Probe::Works), Vec::new()) } }),
    );
    let mut written = [twice.1, again.1].concat();
    written.dedup();
    written.extend(leftovers.into_iter().map(|key| (key, None)));
    let deleted = if written.is_empty() { Ok(()) } else { bucket.delete_all(&written).await };
    let probed = match (twice.0?, again.0?) {
        (Probe::Works, again) => again,
        (fails, _) => fails,
    };
    deleted.map(|()| probed)
}

/// Takes a lock twice. The second time must be refused.
async fn lock_twice(bucket: &Bucket, key: String) -> Probed {
    let first = match bucket.put_new(&key, PROBE_TEXT).await {
        Ok(version) => version,
        Err(S3Error { kind: Kind::Unsupported, said, .. }) => {
            return (Ok(Probe::Fails(format!("the service has no conditional writes: {said}"))), Vec::new());
        }
        Err(error) => return (Err(error), Vec::new()),
    };
    let second = bucket.put_new(&key, PROBE_TEXT).await;
    let mut written = vec![(key.clone(), first)];
    let probed = match second {
        Err(error) if error.kind == Kind::Condition => Ok(Probe::Works),
        Err(error) => Err(error),
        Ok(version) => {
            written.push((key, version));
            Ok(Probe::Fails("the second of two conditional writes was not refused".to_owned()))
        }
    };
    (probed, written)
}

/// Takes a lock, releases it, and takes it again.
async fn lock_again(bucket: &Bucket, key: String) -> Probed {
    let mut written = Vec::new();
    let probed = async {
        written.push((key.clone(), bucket.put_new(&key, PROBE_TEXT).await?));
        written.push((key.clone(), bucket.delete(&key).await?));
        written.push((key.clone(), bucket.put_new(&key, PROBE_TEXT).await?));
        Ok(Probe::Works)
    };
    let probed = match probed.await {
        Err(S3Error { kind: Kind::Condition, .. }) => {
            let why = "a released lock cannot be taken again, because a deleted object counts as existing";
            Ok(Probe::Fails(why.to_owned()))
        }
        // `lock_twice` reports that.
        Err(S3Error { kind: Kind::Unsupported, .. }) => Ok(Probe::Works),
        other => other,
    };
    (probed, written)
}

/// The time in milliseconds, and random digits.
fn unique() -> String {
    let mut random = [0u8; 4];
    getrandom::fill(&mut random).expect("the operating system provides random bytes");
    format!("{}-{}", Timestamp::now().as_millisecond(), hex::encode(random))
}

fn is_leftover(key: &str) -> bool {
    let began = key.strip_prefix(PROBE).and_then(|name| name.split_once('-')?.0.parse::<i64>().ok());
    began.is_some_and(|began| began + LEFTOVER < Timestamp::now().as_millisecond())
}
