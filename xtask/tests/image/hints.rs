//! What the commands of images say to type is typed, and helps.

use testkit::Ran;

use crate::shop::Shop;

#[test]
fn what_an_image_lacks_is_there_after_what_is_said_was_typed() {
    let Some(shop) = Shop::unpinned("what_an_image_lacks_is_there_after_what_is_said_was_typed") else { return };
    let type_it = |failed: &Ran, mark: &str| failed.type_it(mark, &shop.command(&[]));
    let build = ["image", "build", "production"];

    let pending = shop.run(&["image", "pin", "production", "--check"]).expect(10);
    assert_eq!(pending.hint("type: "), shop.run(&build).expect(1).hint("type: "));
    type_it(&pending, "type: ").expect(0);
    shop.run(&["image", "pin", "production", "--check"]).expect(0);

    // image.lock is not committed.
    let dirty = shop.run(&build).expect(1);
    assert!(type_it(&dirty, "see them: ").expect(0).stdout.contains("image.lock"));
    shop.project.commit("Pin the base image");
    shop.project.write("notes", "");
    let dirty = shop.run(&build).expect(1);
    type_it(&dirty, "stash them: ").expect(0);

    shop.project.git(&["rm", "--quiet", "--cached", "Dockerfile"]);
    shop.project.git(&["commit", "--quiet", "--message", "Without the Dockerfile"]);
    let missing = shop.run(&["image", "build"]).expect(1);
    type_it(&missing, "type: ").expect(0);
    shop.run(&build).expect(0);

    // A file that stands for one of Git LFS.
    shop.project.write("src/it's a film", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n");
    shop.project.commit("A pointer");
    shop.run(&build).expect(1).says(&["src/it's a film"]);
    shop.project.git(&["reset", "--quiet", "--hard", "HEAD~1"]);

    let empty = shop.run(&["image", "list", "production"]).expect(0);
    type_it(&empty, "type: ").expect(0);
    let gone = shop.run(&["image", "inspect", "production", "gone"]).expect(1);
    assert!(type_it(&gone, "to list the images: ").expect(0).stdout.contains("latest"));
}
