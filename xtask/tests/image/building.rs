//! `image build`: what is built, when a build is skipped, and the output.

use crate::shop::{Shop, docker_says};
use testkit::Ran;

#[test]
fn equal_inputs_are_built_once_and_a_changed_source_compiles_no_dependency() {
    let Some(shop) = Shop::open("equal_inputs_are_built_once_and_a_changed_source_compiles_no_dependency") else {
        return;
    };
    let first = shop.run(&["image", "build", "production"]).expect(0);
    let name = first.stdout.trim().to_owned();
    assert!(name.starts_with(&format!("{}/shop/fixture/app:inputs-", shop.registry.address)), "{name}");
    first.says(&["[dependencies 3/3] RUN echo", "[build 2/2] RUN echo", "MiB unpacked"]);

    // The image's inputs are unchanged: neither the same commit nor one of a README is built.
    for message in ["", "Docs"] {
        if !message.is_empty() {
            shop.project.write("README.md", "# The fixture\n");
            shop.project.commit(message);
        }
        let again = shop.events(&["image", "build", "production"]).expect(0);
        assert_eq!(again.steps("reused"), ["build"], "{:#?}", again.events);
        assert!(again.texts("reused").contains("is in the Docker engine"));
    }

    shop.project.edit("src/main.rs", "//! A service", &format!("//! {}", shop.registry.address));
    shop.project.commit("Source");
    let changed = shop.run(&["image", "build", "production"]).expect(0);
    assert_ne!(changed.stdout.trim(), name);
    assert!(line(&changed, "[dependencies 3/3]").contains("cached"), "{}", changed.stderr);
    assert!(!line(&changed, "[build 2/2]").contains("cached"), "{}", changed.stderr);
}

#[test]
fn an_image_has_labels_and_contains_only_committed_files() {
    let Some(shop) = Shop::open("an_image_has_labels_and_contains_only_committed_files") else { return };
    shop.project.git(&["remote", "add", "origin", "https://someone:sentinel-origin@git.example/shop.git"]);
    let name = shop.result(&["image", "build", "production"])["image"].as_str().unwrap().to_owned();
    let commit = shop.commit();
    let label = |label: &str| {
        let format = format!("{{{{index .Config.Labels \"org.opencontainers.image.{label}\"}}}}");
        docker_says(&["inspect", "--format", &format, &name])
    };
    assert_eq!((label("revision"), label("version")), (commit.clone(), commit[..12].to_owned()));
    assert_eq!(label("source"), "https://git.example/shop.git");
    let committed: i64 = shop.project.git(&["log", "-1", "--format=%ct"]).parse().unwrap();
    let created: jiff::Timestamp = label("created").parse().unwrap();
    assert_eq!(created.as_second(), committed);
    let said =
        docker_says(&["run", "--rm", "--network", "none", &name, "sh", "-c", "echo $SERVICE_VERSION; cat /service"]);
    let (version, service) = said.split_once('\n').unwrap();
    assert_eq!(version, &commit[..12]);
    assert_eq!(service.trim(), shop.project.read("src/main.rs").trim());
}

#[test]
fn images_for_other_machines_take_a_commit_and_pinned_bases() {
    let Some(shop) = Shop::unpinned("images_for_other_machines_take_a_commit_and_pinned_bases") else { return };
    let unpinned = shop.run(&["image", "build", "production"]).expect(1);
    unpinned.says(&["image.lock has no digest of", "cargo xtask image pin"]);
    shop.run(&["image", "pin", "production"]).expect(0);
    let dirty = shop.run(&["image", "build", "production"]).expect(1);
    dirty.says(&["uncommitted changes", "git status"]);
    // For this machine both are allowed, with a warning.
    shop.project.git(&["stash", "--quiet", "--include-untracked"]);
    shop.project.write("src/main.rs", "uncommitted");
    let docker = shop.registry.docker_config();
    let local = Ran::of(shop.command(&["image", "build"]).env("DOCKER_CONFIG", docker.path())).expect(0);
    let name = local.stdout.trim().to_owned();
    assert!(name.starts_with("fixture/app:inputs-"), "{name}");
    local.says(&["built without them", "to pin it: cargo xtask image pin"]);
    let service = docker_says(&["run", "--rm", "--network", "none", &name, "cat", "/service"]);
    assert!(service.contains("//! A service"), "{service}");
    docker_says(&["rmi", "--force", &name]);
}

#[test]
fn a_failing_step_is_shown_with_its_instruction_and_last_lines() {
    let Some(shop) = Shop::open("a_failing_step_is_shown_with_its_instruction_and_last_lines") else { return };
    shop.project.edit(
        "Dockerfile",
        "RUN echo \"compiling the service\"",
        "RUN echo \"main.rs is not to my taste\" && exit 7",
    );
    shop.project.commit("Break the build");
    let failed = shop.run(&["image", "build", "production"]).expect(1);
    failed.says(&["RUN echo \"main.rs is not to my taste\" && exit 7", "main.rs is not to my taste", "exit code 7"]);
    shop.project.edit("Dockerfile", "COPY src /src", "COPIED src /src");
    shop.project.commit("Break the Dockerfile");
    shop.run(&["image", "build", "production"]).expect(1).says(&["dockerfile parse error line 6", "COPIED"]);
}

#[test]
fn an_image_above_the_targets_limit_is_refused_with_its_largest_parts() {
    let Some(shop) = Shop::open("an_image_above_the_targets_limit_is_refused_with_its_largest_parts") else {
        return;
    };
    // Random bytes do not compress.
    shop.project.edit(
        "Dockerfile",
        "ARG SERVICE_VERSION",
        "RUN dd if=/dev/urandom of=/large bs=1048576 count=251\nARG SERVICE_VERSION",
    );
    shop.project.commit("A large image");
    let refused = shop.run(&["image", "build", "production"]).expect(1);
    let refused =
        refused.says(&["too large for production", "limit 250.0 MiB", "instruction", "RUN", "dd if=/dev/urandom"]);
    assert!(refused.stdout.is_empty(), "{}", refused.stdout);
    // `image push` does not use it.
    shop.run(&["image", "push", "production"]).expect(1).says(&["too large for production"]);
    assert_eq!(shop.digest("latest"), None);
}

#[test]
fn an_image_has_the_bytes_of_the_commit_and_what_the_commit_lacks_is_refused() {
    let Some(shop) = Shop::open("an_image_has_the_bytes_of_the_commit_and_what_the_commit_lacks_is_refused") else {
        return;
    };
    let project = &shop.project;
    project.edit("Dockerfile", "COPY src /src", "COPY . /src");
    project.edit("Dockerfile", "/src/main.rs > /service", "/src/src/main.rs > /service && find /src > /names");
    project.edit("Dockerfile", "COPY --from=build", "COPY --from=build /src /names /\nCOPY --from=build");
    project.write(".dockerignore", "**.md\n.env**\n");
    project.write(".env.example", "A=1\n");
    let text = "one\n$Format:%H$ $Id$\n";
    project.write("texts/text", text);
    project.write("texts/left-out", "still here");
    project.write("texts/notes.md", "not here");
    project.write(".gitattributes", "texts/text export-subst ident eol=crlf\ntexts/left-out export-ignore\n");
    project.git(&["config", "core.autocrlf", "true"]);
    project.commit("Attributes");
    let name = shop.result(&["image", "build", "production"])["image"].as_str().unwrap().to_owned();
    let says = |command: &str| docker_says(&["run", "--rm", "--network", "none", &name, "sh", "-c", command]);
    assert_eq!(says("cat /texts/text; cat /texts/left-out"), format!("{text}still here"));
    let names = says("cat /names");
    assert!(!names.contains(".md") && !names.contains(".env"), "{names}");

    project.write("texts/film", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n");
    project.commit("A pointer");
    let refused = shop.run(&["image", "build", "production"]).expect(1);
    refused.says(&["only pointers", "texts/film", ".dockerignore", "git lfs untrack texts/film"]);
    project.write(".dockerignore", "**.md\n.env**\ntexts/film\n");
    project.commit("Without it");
    shop.run(&["image", "build", "production"]).expect(0);
}

/// The line of a step in the output.
#[track_caller]
fn line<'a>(ran: &'a Ran, step: &str) -> &'a str {
    ran.stderr.lines().find(|line| line.contains(step)).unwrap_or_else(|| panic!("no {step} in:\n{}", ran.stderr))
}
