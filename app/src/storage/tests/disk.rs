//! What only a folder has: modes, full disks, files on other disks.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use fs_err as fs;
use testkit::{disk::Disk, skipped};

use super::{
    super::{Storage, StorageError, StorageKey},
    Fixture, content, open_local, put_file, read, spooled,
};
use crate::media::MediaId;

#[tokio::test]
async fn no_other_user_can_read_what_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("uploads")).unwrap();
    fs::set_permissions(folder.path().join("uploads"), Permissions::from_mode(0o777)).unwrap();
    let storage = open_local(folder.path()).await;
    let id = MediaId::generate();
    let received = storage.spool_file().await.unwrap();
    put_file(&storage, StorageKey::Original(id), b"picture").await.unwrap();
    storage.put_bytes(StorageKey::Thumbnail(id), content(9), "image/webp").await.unwrap();
    let Storage::Local(local) = &storage else { unreachable!() };
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for name in ["uploads", "thumbs", "clipboard", "private", "incoming", "incoming/resumable"] {
        assert_eq!(mode(folder.path().join(name)), 0o700, "{name}");
    }
    for file in
        [local.path(StorageKey::Original(id)), local.path(StorageKey::Thumbnail(id)), received.path().to_owned()]
    {
        assert_eq!(mode(file.clone()), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn a_full_disk_is_an_error_of_its_own_and_files_can_still_be_deleted() {
    let test = "a_full_disk_is_an_error_of_its_own_and_files_can_still_be_deleted";
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&folder.path().join("disk"), 80) else { return skipped(test, "takes mount") };
    let storage = open_local(&disk.0).await;
    storage.check().await.unwrap();
    let (kept, refused) = (StorageKey::Original(MediaId::generate()), StorageKey::Original(MediaId::generate()));
    put_file(&storage, kept, &content(100_000)).await.unwrap();

    disk.fill(1 << 20);
    assert!(matches!(storage.check().await, Err(StorageError::Full)), "nearly full");
    let full = storage.put_bytes(refused, content(2_000_000), "image/png").await;
    assert!(matches!(full, Err(StorageError::Full)), "{full:?}");
    let full = put_file(&storage, refused, &content(2_000_000)).await;
    assert!(matches!(full, Err(StorageError::Full)), "{full:?}");
    assert_eq!((storage.head(refused).await.unwrap(), spooled(&storage)), (None, 0), "nothing of it is kept");

    // The last bytes, too.
    fs::write(disk.0.join("rest"), content(2_000_000)).unwrap_err();
    let reopened = open_local(&disk.0).await;
    assert_eq!(read(&reopened, kept).await.unwrap(), content(100_000));
    reopened.delete(&[kept]).await.unwrap();
    assert_eq!(reopened.head(kept).await.unwrap(), None);
    disk.make_room();
    reopened.check().await.unwrap();
}

#[tokio::test]
async fn a_file_on_another_disk_is_copied() {
    let test = "a_file_on_another_disk_is_copied";
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&folder.path().join("disk"), 8) else { return skipped(test, "takes mount") };
    let fixture = Fixture::local().await;
    let (key, elsewhere) = (StorageKey::Original(MediaId::generate()), disk.0.join("file"));
    fs::write(&elsewhere, content(300_000)).unwrap();
    fixture.storage.put_file(key, &elsewhere, "image/png").await.unwrap();
    assert_eq!(read(&fixture.storage, key).await.unwrap(), content(300_000));
    assert_eq!(spooled(&fixture.storage), 0);
}

#[tokio::test]
async fn the_folders_of_a_release_that_still_runs_are_not_swept() {
    let fixture = Fixture::local().await;
    let make = |name: &str| {
        let folder = fixture.folder.path().join("incoming").join(name);
        fs::create_dir_all(folder.join("01ARZ3NDEKTSV4RRFFQ69G5FAV")).unwrap();
        let alive = fs::File::create(folder.join("alive")).unwrap();
        let old = SystemTime::now() - Duration::from_secs(7200);
        std::fs::File::open(&folder).unwrap().set_modified(old).unwrap();
        (folder, alive)
    };
    let ((running, alive), (stopped, _)) = (make("running"), make("stopped"));
    alive.file().try_lock().unwrap();
    assert_eq!(fixture.storage.sweep_spool().await.unwrap(), 1);
    assert!(running.exists() && !stopped.exists());
}
