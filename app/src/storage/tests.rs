//! Both backends against the same expectations: a folder, and a bucket of each of two S3 servers.

mod disk;
mod s3;
mod uploads;

use std::{io::Write as _, path::Path, time::SystemTime};

use bytes::Bytes;
use devservers::{Gofakes3, Versitygw, versitygw};
use secrecy::SecretString;
use testkit::or_skip;

use super::{Prefix, Storage, StorageError, StorageKey};
use crate::{
    media::MediaId,
    settings::{S3Settings, StorageSettings},
};

const BUCKET: &str = "media";

/// A storage that is empty.
struct Fixture {
    storage: Storage,
    folder: tempfile::TempDir,
    server: Option<Versitygw>,
    other: Option<Gofakes3>,
}

impl Fixture {
    async fn local() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = open_local(folder.path()).await;
        Self { storage, folder, server: None, other: None }
    }

    /// `None` if this machine has no S3 server.
    async fn s3(test: &str) -> Option<Self> {
        let server = or_skip(test, Versitygw::start())?;
        server.bucket(BUCKET);
        let folder = tempfile::tempdir().unwrap();
        let storage = open_s3(&settings(&server.endpoint(), folder.path())).await;
        Some(Self { storage, folder, server: Some(server), other: None })
    }

    /// The same with a server of another make.
    async fn other_s3(test: &str) -> Option<Self> {
        let server = or_skip(test, Gofakes3::start(BUCKET))?;
        let folder = tempfile::tempdir().unwrap();
        let storage = open_s3(&settings(&server.endpoint(), folder.path())).await;
        Some(Self { storage, folder, server: None, other: Some(server) })
    }

    async fn each(test: &str) -> Vec<Self> {
        let mut all = vec![Self::local().await];
        all.extend(Self::s3(test).await);
        all.extend(Self::other_s3(test).await);
        all
    }

    fn name(&self) -> &'static str {
        match (&self.server, &self.other) {
            (Some(_), _) => "versitygw",
            (_, Some(_)) => "gofakes3",
            (None, None) => "local",
        }
    }
}

async fn open_local(folder: &Path) -> Storage {
    Storage::open(&StorageSettings::Local { upload_dir: folder.to_owned() }).await.unwrap()
}

async fn open_s3(settings: &S3Settings) -> Storage {
    Storage::open(&StorageSettings::S3(settings.clone().into())).await.unwrap()
}

fn settings(endpoint: &str, spool_dir: &Path) -> S3Settings {
    S3Settings {
        bucket: BUCKET.to_owned(),
        region: versitygw::REGION.to_owned(),
        endpoint: Some(endpoint.to_owned()),
        access_key_id: versitygw::ACCESS_KEY.to_owned(),
        secret_access_key: SecretString::from(versitygw::SECRET_KEY),
        public_url: None,
        cdn: None,
        queue_url: None,
        spool_dir: spool_dir.to_owned(),
    }
}

/// Bytes that are different at each place.
fn content(length: usize) -> Bytes {
    let mut number: u32 = 1;
    let mut next = || {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        number.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

async fn put_file(storage: &Storage, key: StorageKey, bytes: &[u8]) -> Result<(), StorageError> {
    let mut file = storage.spool_file().await?;
    file.write_all(bytes)?;
    storage.put_file(key, file.path(), "image/jpeg").await
}

async fn read(storage: &Storage, key: StorageKey) -> Option<Vec<u8>> {
    storage.open_local(key).await.unwrap().map(|file| fs_err::read(&*file).unwrap())
}

/// The files of the spool, beside the folder of uploads in parts.
fn spooled(storage: &Storage) -> usize {
    let entries = fs_err::read_dir(storage.spool()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|entry| entry.is_file()).count()
}

#[tokio::test]
async fn what_is_put_is_read_replaced_and_deleted() {
    for fixture in Fixture::each("what_is_put_is_read_replaced_and_deleted").await {
        let (storage, name) = (&fixture.storage, fixture.name());
        let id = MediaId::generate();
        let (original, thumbnail) = (StorageKey::Original(id), StorageKey::Thumbnail(id));
        assert_eq!(storage.head(original).await.unwrap(), None, "{name}");
        assert!(storage.open_local(original).await.unwrap().is_none(), "{name}");
        storage.delete(&StorageKey::all(id)).await.unwrap();

        put_file(storage, original, b"first").await.unwrap();
        storage.put_bytes(thumbnail, content(5000), "image/webp").await.unwrap();
        assert_eq!(read(storage, original).await.unwrap(), b"first", "{name}");
        assert_eq!(read(storage, thumbnail).await.unwrap(), content(5000), "{name}");
        put_file(storage, original, b"second one").await.unwrap();
        assert_eq!(read(storage, original).await.unwrap(), b"second one", "{name}");
        assert_eq!(storage.head(original).await.unwrap().unwrap().size, 10, "{name}");
        put_file(storage, StorageKey::Private(id), b"").await.unwrap();
        assert_eq!(read(storage, StorageKey::Private(id)).await.unwrap(), b"", "{name}");

        storage.delete(&StorageKey::all(id)).await.unwrap();
        for key in StorageKey::all(id) {
            assert_eq!(storage.head(key).await.unwrap(), None, "{name}");
        }
        assert_eq!(spooled(storage), 0, "{name}: files of the spool are deleted with their values");
        storage.check().await.unwrap();
    }
}

#[tokio::test]
async fn a_large_file_arrives_whole() {
    for fixture in Fixture::each("a_large_file_arrives_whole").await {
        let (storage, key, bytes) = (&fixture.storage, StorageKey::Original(MediaId::generate()), content(21_000_000));
        put_file(storage, key, &bytes).await.unwrap();
        assert!(read(storage, key).await.unwrap() == bytes, "{}", fixture.name());
        assert_eq!(storage.head(key).await.unwrap().unwrap().size, 21_000_000, "{}", fixture.name());
    }
}

#[tokio::test]
async fn lists_are_in_order_and_have_only_what_comes_after() {
    for fixture in Fixture::each("lists_are_in_order_and_have_only_what_comes_after").await {
        let (storage, name) = (&fixture.storage, fixture.name());
        let mut keys: Vec<_> = (0..4).map(|_| StorageKey::Original(MediaId::generate())).collect();
        for key in &keys {
            storage.put_bytes(*key, content(7), "image/png").await.unwrap();
        }
        storage.put_bytes(StorageKey::Thumbnail(keys[0].media()), content(7), "image/webp").await.unwrap();
        keys.sort_by_key(ToString::to_string);

        let all = storage.list(Prefix::Originals, None).await.unwrap();
        let names = |page: &super::Page| page.objects.iter().map(|object| object.key.clone()).collect::<Vec<_>>();
        assert_eq!(names(&all), keys.iter().map(ToString::to_string).collect::<Vec<_>>(), "{name}");
        assert_eq!((all.next, all.objects[0].size), (None, 7), "{name}");
        assert!(all.objects[0].modified.elapsed().unwrap_or_default().as_secs() < 60, "{name}");
        let rest = storage.list(Prefix::Originals, Some(keys[1].to_string())).await.unwrap();
        assert_eq!(names(&rest), [keys[2].to_string(), keys[3].to_string()], "{name}");
        assert!(storage.list(Prefix::Clipboard, None).await.unwrap().objects.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn only_old_files_are_swept_from_the_spool() {
    for fixture in Fixture::each("only_old_files_are_swept_from_the_spool").await {
        let storage = &fixture.storage;
        let (current, old) = (storage.spool_file().await.unwrap(), storage.spool_file().await.unwrap());
        old.as_file().set_modified(SystemTime::now() - super::ABANDONED * 2).unwrap();
        assert_eq!(storage.sweep_spool().await.unwrap(), 1, "{}", fixture.name());
        assert!(current.path().exists() && !old.path().exists(), "{}", fixture.name());
    }
}
