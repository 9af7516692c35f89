//! Checks the README's block of commands for a first user. That the README's other commands exist is checked where the
//! command line is declared.

use crate::site::Site;
use crate::workshop::Workshop;

/// The line before the block of commands for a first user.
const TRY: &str = "<!-- try -->\n```sh\n";

/// Runs the block in the clone: a first account, a log-in, an upload, a list. Other visitors use the same account.
pub fn first_visit(site: &Site, picture: &[u8]) {
    let file = tempfile::Builder::new().suffix(".jpg").tempfile_in(&Workshop::of_this_run().folder).unwrap();
    fs_err::write(file.path(), picture).unwrap();
    fs_err::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let text = read(site);
    let (_, rest) = text.split_once(TRY).expect("README.md has a block to try");
    let (block, _) = rest.split_once("```").unwrap();
    let block = block
        .replace("localhost:3000", &format!("localhost:{}", site.port))
        .replace("a long password", &site.password())
        .replace("picture.jpg", file.path().to_str().unwrap());
    let said = site.run("sh", &["-e", "-c", &block]).expect(0);
    said.says(&["\"token\":", "\"thumbnail_url\":\"/api/files/thumbs/", "\"items\":[{"]);
}

fn read(site: &Site) -> String {
    fs_err::read_to_string(site.folder().join("README.md")).unwrap()
}
