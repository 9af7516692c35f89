//! A bucket of the S3 server, and its settings. A setting that the server does not know stays what is stored.

mod cors;
mod lifecycle;
mod part;
mod policy;
mod settings;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};

pub use self::part::{Part, normal};
use crate::template::last;
use crate::value::{Map, Value};

/// Fields of a type, each with the setting of the bucket that it holds; `*` is all fields together.
pub type Parts = BTreeMap<String, Part>;

/// What a server says to a question about a bucket.
pub enum Answer<T> {
    /// This.
    Is(T),
    /// The bucket has no such setting.
    Unset,
    /// There is no such bucket.
    NoBucket,
    /// The server does not know this kind of setting.
    Unknown,
}

impl<T> Answer<T> {
    /// The same about what a provider would write of it.
    pub fn map(self, write: impl FnOnce(T) -> serde_json::Value) -> Answer<Value> {
        match self {
            Self::Is(there) => Answer::Is(write(there).into()),
            Self::Unset => Answer::Unset,
            Self::NoBucket => Answer::NoBucket,
            Self::Unknown => Answer::Unknown,
        }
    }
}

/// Makes the bucket, or its settings what they should be. Fails if a new one is there already.
pub async fn make(s3: &Client, parts: &Parts, before: Option<&Map>, values: Map) -> Result<Map> {
    if before.is_some() {
        return make_parts(s3, parts, before, values).await;
    }
    let name = name(&values)?;
    if exists(s3, &name).await? {
        bail!("the bucket {name} already exists (BucketAlreadyOwnedByYou)");
    }
    let region = s3.config().region().map(|region| region.as_ref()).filter(|region| *region != "us-east-1");
    let place = region.map(|region| {
        CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::from(region)).build()
    });
    let lock = (values.get("object_lock_enabled") == Some(&Value::Bool(true))).then_some(true);
    let create = s3.create_bucket().bucket(&name).set_create_bucket_configuration(place);
    done("make the bucket", &name, create.set_object_lock_enabled_for_bucket(lock).send().await)?;
    match make_parts(s3, parts, None, values).await {
        Ok(values) => Ok(values),
        Err(error) => {
            // It would be in the way of the next try.
            s3.delete_bucket().bucket(&name).send().await.ok();
            Err(error)
        }
    }
}

/// Makes settings of a bucket what they should be. Fails if the bucket is not there.
pub async fn make_parts(s3: &Client, parts: &Parts, before: Option<&Map>, values: Map) -> Result<Map> {
    let name = name(&values)?;
    for (field, part) in parts {
        let value = part::held(field, &values);
        if !part::normal(&value).is_null() {
            part.put(s3, &name, &value).await?;
        } else if before.is_some() {
            part.delete(s3, &name).await?;
        }
    }
    Ok(values)
}

/// The values, with what the server has in place of what differs. `None` where the bucket is gone, or the only setting.
///
/// `alone` says that the resource is the setting and not the bucket.
pub async fn look(s3: &Client, parts: &Parts, alone: bool, mut values: Map) -> Result<Option<Map>> {
    let name = name(&values)?;
    if !exists(s3, &name).await? {
        return Ok(None);
    }
    for (field, part) in parts {
        let there = match part.get(s3, &name).await? {
            Answer::Is(there) => there,
            Answer::Unset if alone => return Ok(None),
            Answer::Unset => Value::Null,
            Answer::NoBucket => return Ok(None),
            Answer::Unknown => continue,
        };
        part::differing(*part, field, &mut values, there);
    }
    Ok(Some(values))
}

/// Removes the bucket. Fails if there are objects in it, unless `force_destroy` is set.
pub async fn end(s3: &Client, values: &Map) -> Result<()> {
    let name = name(values)?;
    if values.get("force_destroy") == Some(&Value::Bool(true)) {
        empty(s3, &name).await?;
    }
    match answer(s3.delete_bucket().bucket(&name).send().await) {
        Ok(Answer::Is(_) | Answer::NoBucket) => Ok(()),
        Ok(_) => bail!("the S3 server does not remove buckets"),
        Err(error) => Err(error).with_context(|| format!("remove the bucket {name}")),
    }
}

/// Takes settings from a bucket.
pub async fn end_parts(s3: &Client, parts: &Parts, values: &Map) -> Result<()> {
    let name = name(values)?;
    for part in parts.values() {
        part.delete(s3, &name).await?;
    }
    Ok(())
}

/// Sorts what a server has said. Fails with its words where it has refused.
pub fn answer<T, E>(result: Result<T, SdkError<E>>) -> Result<Answer<T>>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let error = match result {
        Ok(there) => return Ok(Answer::Is(there)),
        Err(error) => error,
    };
    let status = error.raw_response().map(|response| response.status().as_u16());
    match error.code().unwrap_or_default() {
        "NoSuchBucket" => Ok(Answer::NoBucket),
        "ServerSideEncryptionConfigurationNotFoundError" => Ok(Answer::Unset),
        code if code.starts_with("NoSuch") => Ok(Answer::Unset),
        // Access control lists are switched off: nothing else would be kept of one.
        "NotImplemented" | "AccessControlListNotSupported" => Ok(Answer::Unknown),
        "" if status == Some(501) => Ok(Answer::Unknown),
        "" => bail!("{}", DisplayErrorContext(error)),
        code => bail!("{code}: {}", error.message().unwrap_or("without a word")),
    }
}

/// As [`answer`], for what changes a bucket. A server that does not know such settings is as good.
pub fn done<T, E>(what: &str, bucket: &str, result: Result<T, SdkError<E>>) -> Result<()>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match answer(result).with_context(|| format!("{what} {bucket}"))? {
        Answer::NoBucket => bail!("{what} {bucket}: NoSuchBucket: the bucket does not exist"),
        _ => Ok(()),
    }
}

/// Providers name the bucket of a resource differently, and one with its region before it.
fn name(values: &Map) -> Result<String> {
    let named = ["bucket_name", "bucket", "name"].iter().find_map(|field| values.get(*field)?.text());
    Ok(last(&named.context("a bucket has no name")?).to_owned())
}

async fn exists(s3: &Client, name: &str) -> Result<bool> {
    match s3.head_bucket().bucket(name).send().await {
        Ok(_) => Ok(true),
        Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => Ok(false),
        Err(error) => bail!("look for the bucket {name}: {}", DisplayErrorContext(error)),
    }
}

async fn empty(s3: &Client, name: &str) -> Result<()> {
    let said = || format!("empty the bucket {name}");
    loop {
        let Answer::Is(page) = answer(s3.list_object_versions().bucket(name).send().await).with_context(said)? else {
            return Ok(());
        };
        let objects = page.versions().iter().map(|it| (it.key(), it.version_id()));
        let markers = page.delete_markers().iter().map(|it| (it.key(), it.version_id()));
        let all: Vec<_> = objects.chain(markers).filter_map(|(key, version)| Some((key?, version))).collect();
        if all.is_empty() {
            return Ok(());
        }
        for (key, version) in all {
            let delete = s3.delete_object().bucket(name).key(key).set_version_id(version.map(str::to_owned));
            answer(delete.send().await).with_context(said)?;
        }
    }
}
