//! Clones of this repository, for tests of its own image.

use std::path::Path;

use crate::Ran;
use crate::git::{commit, git};

/// Clones the commit under test into a folder that does not exist yet, and commits there that its image is compiled without
/// optimisation: that takes about half of the processor time. All clones have the same Dockerfile and manifests, so the engine
/// compiles the layers of dependencies once for all tests. The journey runs an optimised service.
pub fn clone_for_image(folder: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("testkit is two folders deep");
    Ran::of(git(source).args(["clone", "--quiet"]).arg(source).arg(folder)).expect(0);
    edit(&folder.join("Cargo.toml"), "[profile.release]\n", "[profile.release]\nopt-level = 0\n");
    // FFmpeg does not link without the removal of dead code, which comes with the first level.
    edit(&folder.join("Dockerfile"), "./configure ", "./configure --optflags=-O1 ");
    commit(folder, "Compile without optimisation");
}

fn edit(file: &Path, from: &str, to: &str) {
    let text = fs_err::read_to_string(file).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{} has {from:?} once", file.display());
    fs_err::write(file, text.replace(from, to)).unwrap();
}
