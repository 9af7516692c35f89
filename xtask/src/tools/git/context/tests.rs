use std::collections::BTreeMap;

use tokio::io::AsyncReadExt as _;

use super::*;
use crate::tools::git::tests::Repository;

/// What an unpacked tar has at a path: content or target, and mode.
type Unpacked = BTreeMap<Vec<u8>, (Vec<u8>, u32)>;

async fn tar_of(context: &Context) -> Vec<u8> {
    let mut bytes = Vec::new();
    context.archive().unwrap().read_to_end(&mut bytes).await.unwrap();
    bytes
}

/// The files and links of a tar, as the crate reads it.
fn unpacked(tar: &[u8]) -> Unpacked {
    let mut all = BTreeMap::new();
    for entry in tar::Archive::new(tar).entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = (entry.header().entry_type(), entry.header().mode().unwrap(), entry.header().size().unwrap());
        let mut content = Vec::new();
        match header.0 {
            tar::EntryType::Directory => {
                assert_eq!(header.1, 0o755);
                continue;
            }
            tar::EntryType::Symlink => content.extend(entry.link_name_bytes().unwrap().iter()),
            _ => drop(std::io::Read::read_to_end(&mut entry, &mut content).unwrap()),
        }
        all.insert(entry.path_bytes().to_vec(), (content, header.1));
    }
    all
}

#[tokio::test]
async fn a_context_depends_on_the_files_of_the_commit_only() {
    let repository = Repository::new().await;
    for (path, text) in [("a file", "a"), ("README.md", "one"), ("docs/deep/x", "x"), ("[odd]*", "odd")] {
        repository.write(path, text);
    }
    let first = repository.commit().await;
    let keep = |path: &[u8]| path != b"README.md" && !path.starts_with(b"docs/") && path[0] != b'.';
    let root = &repository.root;

    let context = Context::of(root, &first, keep).await.unwrap();
    // Uncommitted changes are not part of the context.
    repository.write("a file", "changed");
    repository.write("untracked", "u");
    let tar = tar_of(&context).await;
    assert_eq!(unpacked(&tar).into_keys().collect::<Vec<_>>(), [b"[odd]*".to_vec(), b"a file".to_vec()]);
    assert_eq!(unpacked(&tar)[&b"a file"[..]], (b"a".to_vec(), 0o644));
    let again = Context::of(root, &first, keep).await.unwrap();
    assert_eq!(tar_of(&again).await, tar);

    repository.git(&["checkout", "-q", "--", "a file"]).await;
    fs_err::remove_file(root.join("untracked")).unwrap();
    repository.write("README.md", "two");
    let second = repository.commit().await;
    assert_eq!(Context::of(root, &second, keep).await.unwrap().id(), context.id());
    repository.write("a file", "b");
    let third = repository.commit().await;
    assert_ne!(Context::of(root, &third, keep).await.unwrap().id(), context.id());
    // A mode and a name count as well.
    fs_err::set_permissions(root.join("a file"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let fourth = repository.commit().await;
    assert_ne!(
        Context::of(root, &fourth, keep).await.unwrap().id(),
        Context::of(root, &third, keep).await.unwrap().id()
    );
}

#[tokio::test]
async fn attributes_and_configuration_change_no_byte_of_a_context() {
    let repository = Repository::new().await;
    let text = "one\ntwo $Format:%H$ $Id$\n";
    repository.write("text", text);
    repository.write("left-out", "still here");
    let plain = repository.commit().await;
    let files = async |commit: &str| {
        let context = Context::of(&repository.root, commit, |path| !path.starts_with(b".git")).await.unwrap();
        (context.id(), unpacked(&tar_of(&context).await))
    };
    let before = files(&plain).await;
    assert_eq!(before.1[&b"text"[..]].0, text.as_bytes());
    repository.write(".gitattributes", "text export-subst ident eol=crlf\nleft-out export-ignore\n");
    for [name, value] in [["core.autocrlf", "true"], ["core.eol", "crlf"], ["tar.umask", "0777"]] {
        repository.git(&["config", name, value]).await;
    }
    let with_attributes = repository.commit().await;
    assert_eq!(files(&with_attributes).await, before);
}

#[tokio::test]
async fn every_name_mode_and_link_of_a_commit_is_in_its_context() {
    let repository = Repository::new().await;
    let root = repository.root.as_std_path();
    let long = format!("{}/{}", "folder-".repeat(20), "name-".repeat(30));
    repository.write(&long, "long");
    repository.write("empty", "");
    repository.write("large", &"0123456789".repeat(30_000));
    repository.write("folder/program", "#!/bin/sh\n");
    repository.git(&["add", "folder/program"]).await;
    repository.git(&["update-index", "--chmod=+x", "folder/program"]).await;
    let name = path(b"texts/gr\xfc\xdfe.txt");
    fs_err::create_dir(root.join("texts")).unwrap();
    fs_err::write(root.join(name), "not UTF-8").unwrap();
    let far = format!("..//{}/./x", "far/".repeat(40));
    for (link, target) in [("link", "folder//program"), ("far", &far)] {
        fs_err::os::unix::fs::symlink(target, root.join(link)).unwrap();
    }
    repository.git(&["config", "core.fileMode", "false"]).await;
    let commit = repository.commit().await;
    let context = Context::of(&repository.root, &commit, |path| path != b".gitignore").await.unwrap();
    let files = unpacked(&tar_of(&context).await);
    let expected = |path: &[u8], content: &[u8], mode: u32| assert_eq!(files[path], (content.to_vec(), mode));
    expected(long.as_bytes(), b"long", 0o644);
    expected(b"empty", b"", 0o644);
    expected(b"folder/program", b"#!/bin/sh\n", 0o755);
    expected(b"texts/gr\xfc\xdfe.txt", b"not UTF-8", 0o644);
    expected(b"link", b"folder//program", 0o777);
    expected(b"far", far.as_bytes(), 0o777);
    assert_eq!(files[&b"large"[..]].0.len(), 300_000);
    assert_eq!(files.len(), 7);

    // A folder of the repository has its own files, by its own names.
    let folder = Context::of(&repository.root.join("folder"), &commit, |_| true).await.unwrap();
    assert_eq!(unpacked(&tar_of(&folder).await).into_keys().collect::<Vec<_>>(), [b"program"]);
}

#[tokio::test]
async fn files_whose_content_is_not_in_the_commit_are_refused_by_name() {
    let repository = Repository::new().await;
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    repository.write("assets/one.bin", pointer);
    repository.write("assets/two.bin", pointer);
    // Too long for a pointer.
    repository.write("assets/about.txt", &format!("{pointer}{}", "x".repeat(1024)));
    let commit = repository.commit().await;
    let error = Context::of(&repository.root, &commit, |_| true).await.err().unwrap().to_string();
    assert!(error.contains("assets/one.bin, assets/two.bin\n"), "{error}");
    assert!(error.contains("git lfs untrack assets/one.bin"), "{error}");
    assert!(!error.contains("about"), "{error}");
    Context::of(&repository.root, &commit, |path| !path.ends_with(b".bin")).await.unwrap();

    let other = Repository::new().await;
    let url = other.root.as_str();
    repository.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, "sub"]).await;
    fs_err::remove_dir_all(repository.root.join("assets")).unwrap();
    let commit = repository.commit().await;
    let error = Context::of(&repository.root, &commit, |_| true).await.err().unwrap().to_string();
    assert!(error.contains("sub\n  put each into .dockerignore"), "{error}");
    Context::of(&repository.root, &commit, |path| path != b"sub").await.unwrap();
}

#[tokio::test]
async fn an_incomplete_archive_is_an_error() {
    let repository = Repository::new().await;
    repository.write("one", "1");
    repository.write("two", "2");
    let commit = repository.commit().await;
    let context = Context::of(&repository.root, &commit, |_| true).await.unwrap();
    let two = repository.git(&["rev-parse", "HEAD:two"]).await;
    let object = repository.root.join(".git/objects").join(&two[..2]).join(&two[2..]);
    fs_err::remove_file(object).unwrap();
    let error = context.archive().unwrap().read_to_end(&mut Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains(&format!("{two} missing")), "{error}");
}
