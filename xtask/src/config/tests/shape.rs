//! Keys and values.

use std::time::Duration;

use camino::Utf8Path;
use insta::assert_snapshot;

use super::{SMALLEST, changed, positions, refused, refused_with};
use crate::config::{Config, FirstVisit, Need, Postgres, Program, Target};

#[test]
fn the_file_of_this_repository_is_read() {
    let root = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let config = Config::load(root).unwrap();
    let local = config.environment("local").unwrap();
    assert!(matches!(local.target, Target::Local(_)));
    // The package that it names exists.
    assert!(root.join(&config.service.package).join("Cargo.toml").is_file());
}

#[test]
fn omitted_keys_have_defaults() {
    let config = Config::parse(SMALLEST).unwrap();
    assert_eq!((config.project.as_str(), config.source.main_branch.as_str()), ("shop", "main"));
    assert_eq!((config.service.binary.as_str(), config.service.programs.len()), ("app", 0));
    assert_eq!((config.service.schema, config.service.migrations, config.service.web), (None, None, None));
    let local = &config.environments["local"];
    let Target::Local(place) = &local.target else { panic!("{:?}", local.target) };
    assert_eq!((place.port, place.host.to_string(), place.postgres), (3000, "127.0.0.1".to_owned(), Postgres::Auto));
    assert_eq!((local.name.as_str(), local.gate.timeout, local.keep_releases), ("local", Duration::from_secs(60), 5));
    assert!(local.settings.is_none());
}

#[test]
fn the_gate_of_a_stack_has_more_time() {
    let production = |gate: &str| {
        let yaml =
            format!("{SMALLEST}  production: {{ target: scaleway, registry: rg.fr-par.scw.cloud/shop{gate} }}\n");
        let gate = Config::parse(&yaml).unwrap().environments["production"].gate;
        (gate.timeout.as_secs(), gate.watch.as_secs(), gate.no_progress.as_secs())
    };
    assert_eq!(production(""), (300, 60, 120));
    assert_eq!(production(", gate: { watch: 0 }"), (300, 0, 120));
    assert_eq!(production(", gate: { timeout: 1, watch: 3600, no_progress: 7 }"), (1, 3600, 7));
    let gate = &Config::parse(SMALLEST).unwrap().environments["local"].gate;
    assert_eq!((gate.timeout.as_secs(), gate.watch.as_secs(), gate.no_progress.as_secs()), (60, 0, 120));
    assert_snapshot!(refused(&(SMALLEST.to_owned() + "    gate: { timeout: 0, watch: 1m, no_progress: 0 }\n")), @r"
    deploy.yaml:10:22: environments.local.gate.timeout: found the number `0`, expected whole seconds from 1 to 3600
      for example `timeout: 60`
    deploy.yaml:10:32: environments.local.gate.watch: found the text `1m`, expected whole seconds from 0 to 3600
      for example `watch: 60`
    deploy.yaml:10:49: environments.local.gate.no_progress: found the number `0`, expected whole seconds from 1 to 3600
      for example `no_progress: 120`
    ");
}

#[test]
fn block_and_flow_style_mean_the_same() {
    let config = Config::parse(
        "\u{feff}# With an editor's byte-order mark.\r
project: 'shop'\r
source: {main_branch: release/2.0}\r
service: {package: app, binary: shop, settings: a/b.json, schema: [config, --schema], migrations: m, web: ., readiness: /up,
  programs: [{name: ffmpeg, package: ffmpeg, feature: video}]}
environments:
  a-1: {target: local, port: 65535, host: \"::1\", postgres: embedded, gate: {timeout: 5}, keep_releases: 1}
",
    )
    .unwrap();
    assert_eq!((config.source.main_branch.as_str(), config.service.binary.as_str()), ("release/2.0", "shop"));
    assert_eq!(config.service.programs[0].need, Need::Feature("video".to_owned()));
    // The web UI is built with these.
    let build = |program: &Program| (program.name.clone(), program.package.clone(), program.need == Need::Build);
    let own: Vec<_> = config.service.programs[1..].iter().map(build).collect();
    assert_eq!(own, [("node".into(), "nodejs".into(), true), ("npm".into(), "npm".into(), true)]);
    let place = config.environment("a-1").unwrap();
    let Target::Local(local) = &place.target else { panic!("{:?}", place.target) };
    assert_eq!((local.port, local.host.to_string(), local.postgres), (65535, "::1".to_owned(), Postgres::Embedded));
    assert_eq!((place.gate.timeout, place.keep_releases), (Duration::from_secs(5), 1));
}

#[test]
fn the_page_for_whoever_comes_first_takes_a_secret_in_its_fragment() {
    let visit = |page: &str| format!("  first_visit: {{ page: '{page}', open: /a/first }}\n  readiness:");
    let config = Config::parse(&SMALLEST.replace("  readiness:", &visit("/a-b/c.html#token={FIRST_TOKEN}"))).unwrap();
    let found = FirstVisit {
        page: "/a-b/c.html#token=".to_owned(),
        secret: "FIRST_TOKEN".to_owned(),
        open: "/a/first".to_owned(),
    };
    assert_eq!(config.service.first_visit, Some(found));
    for wrong in [
        "/a?token={T}",
        "/a#{T}",
        "/a#={T}",
        "/a#t={t}",
        "/a#t=T",
        "a#t={T}",
        "/a#t={T}x",
        "/a'#t={T}",
        "/#t|x={T}",
        "/$a#t={T}",
    ] {
        let refused = refused(&SMALLEST.replace("  readiness:", &visit(&wrong.replace('\'', "''"))));
        assert!(refused.contains("expected a page and a setting as `/PATH#NAME={SETTING}`"), "{wrong}: {refused}");
    }
}

#[test]
fn settings_are_kept_as_they_are_written() {
    let yaml = SMALLEST.to_owned()
        + "    settings: { A: 1.10, B: 0x10, C: yes, D: 'true', E: True, F: 007, G: \"a\\nb\", H: \"\", I: 1e3, J: &x 12, K: *x }\n";
    let config = Config::parse(&yaml).unwrap();
    let settings = config.environment("local").unwrap().settings.as_ref().unwrap();
    let values: Vec<&str> = settings.values().map(String::as_str).collect();
    assert_eq!(values, ["1.10", "0x10", "yes", "true", "True", "007", "a\nb", "", "1e3", "12", "12"]);
}

#[test]
fn an_unknown_key_is_named_with_the_nearest() {
    assert_snapshot!(refused(&(SMALLEST.to_owned() + "imagee: { name: x }\n")), @r"
    deploy.yaml:10:1: imagee: unknown key
      did you mean `image`? Known keys: environments, github, image, notify, project, service, source, toolkit
    ");
    assert_snapshot!(refused_with("  readiness:", "  readines:"), @r"
    deploy.yaml:5:3: service.readines: unknown key
      did you mean `readiness`? Known keys: args, binary, command, files, first_visit, image, migrations, package, port_variable, programs, readiness, schema, settings, web
    ");
    assert_snapshot!(refused_with("    port:", "    prot:"), @r"
    deploy.yaml:9:5: environments.local.prot: unknown key
      did you mean `port`? Known keys: gate, host, keep_releases, port, postgres, settings, target
    ");
    assert_snapshot!(refused_with("    target:", "    taget:"), @r"
    deploy.yaml:8:5: environments.local.taget: unknown key
      did you mean `target`? Known keys: target
    ");
    assert_snapshot!(refused_with("environments:", "  programs:\n    - { name: cc, packge: gcc, needed_for: build }\nenvironments:"), @r"
    deploy.yaml:7:19: service.programs[0].packge: unknown key
      did you mean `package`? Known keys: feature, name, needed_for, package
    ");
    assert_snapshot!(refused(&(SMALLEST.to_owned() + "    gate: { time: 5 }\n    <: {}\n")), @r"
    deploy.yaml:10:13: environments.local.gate.time: unknown key
      did you mean `timeout`? Known keys: no_progress, timeout, watch
    deploy.yaml:11:5: environments.local.<: unknown key
      known keys: gate, host, keep_releases, port, postgres, settings, target
    ");
}

#[test]
fn a_wrong_type_is_named_with_what_was_expected() {
    assert_snapshot!(refused_with("\n  package: app\n  settings: app/settings.json\n  readiness: /health", " app"), @r"
    deploy.yaml:2:10: service: found the text `app`, expected a mapping
      for example `service: { package: app, readiness: /health }`
    ");
    assert_snapshot!(refused_with("project: shop", "project: [shop]"), @r"
    deploy.yaml:1:10: project: found a list, expected a name of lower-case letters, digits and `-`
      for example `project: my-service`
    ");
    assert_snapshot!(refused_with("project: shop", "project: !env SHOP"), @r"
    deploy.yaml:1:10: project: found the tag `!env`, expected a name of lower-case letters, digits and `-`
      for example `project: my-service`
    ");
    assert_snapshot!(refused_with("package: app", "package: 12"), @r"
    deploy.yaml:3:12: service.package: found the number `12`, expected the name of a cargo package
      for example `package: app`
    ");
    assert_snapshot!(refused_with("target: local", "target: true"), @r"
    deploy.yaml:8:13: environments.local.target: found `true`, expected one of: local, scaleway, compose, easypanel
      for example `target: local`
    ");
    assert_snapshot!(refused(&(SMALLEST.to_owned() + "    settings: { A: [1] }\n    keep_releases: 1.5\n")), @r"
    deploy.yaml:10:20: environments.local.settings.A: found a list, expected a text, a number, true or false
      for example `A: value`
    deploy.yaml:11:20: environments.local.keep_releases: found the number `1.5`, expected a whole number from 1 to 1000
      for example `keep_releases: 5`
    ");
    assert_snapshot!(refused(&(SMALLEST.to_owned() + "[a]: b\n1: c\n~: d\n")), @r"
    deploy.yaml:10:1: found a list as a key, expected a name
      write a name
    deploy.yaml:11:1: 1: unknown key
      known keys: environments, github, image, notify, project, service, source, toolkit
    deploy.yaml:12:1: found nothing as a key, expected a name
      write a name
    ");
    assert_snapshot!(refused("- project: shop\n"), @r"
    deploy.yaml:1:1: found a list, expected a mapping
      for example `project: my-service`
    ");
}

#[test]
fn a_missing_value_is_reported() {
    assert_snapshot!(refused_with("port: 3000", "port:"), @r"
    deploy.yaml:9:5: environments.local.port: no value, expected a port number from 1 to 65535
      for example `port: 3000`
    ");
    assert_snapshot!(refused_with("    port: 3000\n", ""), @r"
    deploy.yaml:7:3: environments.local.port: missing
      add `port: 3000`
    ");
    assert_snapshot!(refused_with("    target: local\n", ""), @r"
    deploy.yaml:7:3: environments.local.target: missing
      add `target: local`
    ");
    assert_snapshot!(refused_with("  local:\n    target: local\n    port: 3000\n", "  {}\n"), @r"
    deploy.yaml:7:3: environments: has no environment
      add `local: { target: local, port: 3000 }`
    ");
    assert_snapshot!(refused("source: {}\n"), @r"
    deploy.yaml:1:1: project: missing
      add `project: my-service`
    deploy.yaml:1:1: service: missing
      add `service: { package: app, readiness: /health }`
    deploy.yaml:1:1: environments: missing
      add `environments: { local: { target: local, port: 3000 } }`
    ");
}

#[test]
fn a_port_is_a_number_that_fits() {
    assert_snapshot!(refused_with("port: 3000", "port: 0"), @r"
    deploy.yaml:9:11: environments.local.port: found the number `0`, expected a port number from 1 to 65535
      for example `port: 3000`
    ");
    assert_snapshot!(refused_with("port: 3000", "port: 70000"), @r"
    deploy.yaml:9:11: environments.local.port: found the number `70000`, expected a port number from 1 to 65535
      for example `port: 3000`
    ");
    assert_snapshot!(refused_with("port: 3000", "port: three thousand"), @r"
    deploy.yaml:9:11: environments.local.port: found the text `three thousand`, expected a port number from 1 to 65535
      for example `port: 3000`
    ");
}

#[test]
fn names_are_labels() {
    assert_snapshot!(refused_with("project: shop", "project: My_Shop"), @r"
    deploy.yaml:1:10: project: found the text `My_Shop`, expected a name of lower-case letters, digits and `-`
      write `my-shop`
    ");
    assert_snapshot!(refused_with("  local:", "  Local:"), @r"
    deploy.yaml:7:3: environments.Local: expected a name of lower-case letters, digits and `-`
      write `local`
    ");
    assert_snapshot!(refused_with("project: shop", "project: 2nd shop!"), @r"
    deploy.yaml:1:10: project: found the text `2nd shop!`, expected a name of lower-case letters, digits and `-`
      begin with a letter, end with a letter or digit, at most 63 characters
    ");
}

#[test]
fn an_unknown_word_is_named_with_those_known() {
    assert_snapshot!(refused_with("target: local", "target: kubernetes"), @r"
    deploy.yaml:8:13: environments.local.target: unknown value `kubernetes`
      known values: compose, easypanel, local, scaleway
    ");
    assert_snapshot!(refused(&(SMALLEST.to_owned() + "    postgres: embeded\n")), @r"
    deploy.yaml:10:15: environments.local.postgres: unknown value `embeded`
      did you mean `embedded`? Known values: auto, embedded, found
    ");
}

#[test]
fn an_unknown_environment_is_named_with_the_nearest() {
    let yaml = SMALLEST.to_owned() + "  production: { target: local, port: 3001 }\n";
    let config = Config::parse(&yaml).unwrap();
    assert_snapshot!(config.environment("prod").unwrap_err(), @r"
    deploy.yaml:6:1: environments: there is no environment `prod`
      did you mean `production`? Known environments: local, production
    ");
    assert_snapshot!(config.environment("").unwrap_err(), @r"
    deploy.yaml:6:1: environments: there is no environment ``
      known environments: local, production
    ");
}

#[test]
fn a_path_stays_inside_the_project() {
    assert_snapshot!(refused_with("app/settings.json", "/etc/passwd"), @r"
    deploy.yaml:4:13: service.settings: found the text `/etc/passwd`, expected a path inside the project, relative to its root and without `..`
      for example `settings: app/settings.json`
    ");
    assert_snapshot!(refused_with("app/settings.json", "app/../../settings.json"), @r"
    deploy.yaml:4:13: service.settings: found the text `app/../../settings.json`, expected a path inside the project, relative to its root and without `..`
      for example `settings: app/settings.json`
    ");
}

#[test]
fn no_value_is_taken_for_an_option_of_another_program() {
    let yaml = changed("project: shop", "project: shop\nsource: { main_branch: --upload-pack=x }").replace(
        "environments:",
        "  programs: [{ name: ../cc, package: -oDpkg=x, needed_for: build }, { name: b, package: bb }, { name: c, package: cc, needed_for: build, feature: c }]\nenvironments:",
    );
    assert_snapshot!(refused(&yaml), @r"
    deploy.yaml:2:24: source.main_branch: found the text `--upload-pack=x`, expected a branch of git, without `$`, `{`, `}` and `*?[]+!`
      for example `main_branch: main`
    deploy.yaml:7:22: service.programs[0].name: found the text `../cc`, expected the name of a command
      for example `name: cc`
    deploy.yaml:7:38: service.programs[0].package: found the text `-oDpkg=x`, expected a Debian package
      for example `package: gcc`
    deploy.yaml:7:69: service.programs[1]: does not say what needs it
      add `needed_for: build` or `feature: NAME`
    deploy.yaml:7:95: service.programs[2]: found both `needed_for` and `feature`
      keep `needed_for` if the build needs it
    ");
}

#[test]
fn a_package_is_a_name_that_apt_takes_for_nothing_else() {
    let with = |package: &str| {
        let program = format!("  programs: [{{ name: cc, package: '{package}', needed_for: build }}]\nenvironments:");
        Config::parse(&changed("environments:", &program))
    };
    // To be removed, of a release, of a version, of an architecture, patterns.
    for package in
        ["vim-", "vim/stable", "vim=1", "vim:amd64", "vim*", "^vim", "~i", "?installed", "-y", "a", ".a", "Vim"]
    {
        let error = with(package).unwrap_err().to_string();
        assert!(error.contains("expected a Debian package"), "{package}: {error}");
    }
    for package in ["g++", "libstdc++6", "libc6-dev", "python3.11", "0ad"] {
        with(package).unwrap();
    }
}

#[test]
fn all_problems_are_reported_in_the_order_of_the_file() {
    let yaml = changed("port: 3000", "port: 0\n    settings: { lower: 1, 2B: 2 }\n    host: localhost")
        .replace("/health", "health")
        .replace("project: shop", "project: Shop");
    let error = Config::parse(&yaml).unwrap_err();
    assert_eq!(positions(&error), [(1, 10), (5, 14), (9, 11), (10, 17), (10, 27), (11, 11)]);
    assert_snapshot!(error, @r"
    deploy.yaml:1:10: project: found the text `Shop`, expected a name of lower-case letters, digits and `-`
      write `shop`
    deploy.yaml:5:14: service.readiness: found the text `health`, expected a URL path that begins with `/`
      for example `readiness: /health`
    deploy.yaml:9:11: environments.local.port: found the number `0`, expected a port number from 1 to 65535
      for example `port: 3000`
    deploy.yaml:10:17: environments.local.settings.lower: not the name of an environment variable: expected A–Z, 0–9 and `_`
      write `LOWER`
    deploy.yaml:10:27: environments.local.settings.2B: not the name of an environment variable: expected A–Z, 0–9 and `_`
      remove it
    deploy.yaml:11:11: environments.local.host: found the text `localhost`, expected an IP address
      for example `host: 127.0.0.1`
    ");
}

#[test]
fn problems_beyond_the_first_twenty_are_counted() {
    let unknown: String = (0..5_000).map(|number| format!("key{number}: 1\n")).collect();
    let error = Config::parse(&(SMALLEST.to_owned() + &unknown)).unwrap_err();
    assert_eq!((error.problems().len(), error.unlisted), (20, 4_980));
    assert!(error.to_string().ends_with("\nand 4980 more problems"));
}

#[test]
fn an_image_has_defaults_and_its_names_are_checked() {
    let with = |image: &str| {
        format!("{SMALLEST}  production: {{ target: scaleway, registry: rg.fr-par.scw.cloud/shop }}\n{image}\n")
    };
    let config = Config::parse(&with("image: {}")).unwrap();
    let image = config.image.clone().unwrap();
    assert_eq!(
        (image.name.as_str(), image.dockerfile.as_str(), image.platform.as_str()),
        ("shop", "Dockerfile", "linux/amd64")
    );
    assert_eq!(config.environments["production"].registry(), Some("rg.fr-par.scw.cloud/shop"));
    assert_eq!(config.environments["local"].registry(), None);
    Config::parse(&with(
        "image: { bases: { A: 'localhost:5000/a/b:1', B: 'debian:bookworm-slim' }, secrets: [NPM_TOKEN] }",
    ))
    .unwrap();
    assert_snapshot!(refused(&with("image: { name: Shop, platform: windows, bases: { a: 'debian:12', B: debian, C: 'a:1@sha256:00' } }")), @r"
    deploy.yaml:11:16: image.name: found the text `Shop`, expected the name of a repository: lower case, parts between `/`
      for example `name: my-service`
    deploy.yaml:11:32: image.platform: unknown value `windows`
      known values: linux/amd64, linux/arm64
    deploy.yaml:11:50: image.bases.a: not the name of a build argument: expected A–Z, 0–9 and `_`
      write `A`
    deploy.yaml:11:69: image.bases.B: found the text `debian`, expected an image as `name:tag`, without a digest
      for example `B: 'debian:bookworm-slim'`
    deploy.yaml:11:80: image.bases.C: found the text `a:1@sha256:00`, expected an image as `name:tag`, without a digest
      for example `C: 'debian:bookworm-slim'`
    ");
    assert_snapshot!(refused_with("target: local\n    port: 3000", "target: scaleway\n    registry: https://rg.fr-par.scw.cloud/shop"), @r"
    deploy.yaml:9:15: environments.local.registry: found the text `https://rg.fr-par.scw.cloud/shop`, expected a registry with a namespace, without `https://` and tag
      for example `registry: rg.fr-par.scw.cloud/my-service`
    ");
    assert_snapshot!(refused_with("target: local\n    port: 3000", "target: scaleway"), @r"
    deploy.yaml:7:3: environments.local.registry: missing
      add `registry: rg.fr-par.scw.cloud/my-service`
    ");
}

#[test]
fn a_merge_key_stands_for_the_keys_of_another_mapping() {
    let yaml = SMALLEST.replace("local:\n", "local: &common\n")
        + "    gate: &slow { timeout: 90 }\n    keep_releases: 2\n  \
           second: { <<: *common, port: 3001 }\n  \
           third: { port: 3002, <<: [{ keep_releases: 3, gate: { <<: *slow } }, *common] }\n";
    let config = Config::parse(&yaml).unwrap();
    let of = |name: &str| {
        let environment = config.environment(name).unwrap();
        let Target::Local(local) = &environment.target else { panic!("{:?}", environment.target) };
        (local.port, environment.keep_releases, environment.gate.timeout.as_secs())
    };
    assert_eq!((of("local"), of("second"), of("third")), ((3000, 2, 90), (3001, 2, 90), (3002, 3, 90)));
}

#[test]
fn what_a_merge_key_stands_for_is_checked_like_anything_else() {
    let common = |merge: &str| SMALLEST.replace("local:\n", "local: &common\n") + "    keep_releases: 2\n" + merge;
    assert_snapshot!(refused(&common("  second: { <<: *common, port: 0, prot: 1 }\n")), @r"
    deploy.yaml:11:32: environments.second.port: found the number `0`, expected a port number from 1 to 65535
      for example `port: 3000`
    deploy.yaml:11:35: environments.second.prot: unknown key
      did you mean `port`? Known keys: gate, host, keep_releases, port, postgres, settings, target
    ");
    assert_snapshot!(refused(&common("  second: { <<: 5 }\n")), @r"
    deploy.yaml:11:17: `<<` takes a mapping or a list of mappings
      name one that is defined above with `&common`: `<<: *common`
    ");
    assert_snapshot!(refused(&common("  second: { <<: [*common, x] }\n")), @r"
    deploy.yaml:11:27: `<<` takes a mapping or a list of mappings
      name one that is defined above with `&common`: `<<: *common`
    ");
    assert_snapshot!(refused(&common("  second:\n    <<: *common\n    <<: *common\n")), @r"
    deploy.yaml:13:5: `<<` occurs twice in a mapping
      write both into one list: `<<: [*one, *two]`
    ");
    assert_snapshot!(refused(&common("  second: { <<: { target: local, port: 70000 } }\n")), @r"
    deploy.yaml:11:40: environments.second.port: found the number `70000`, expected a port number from 1 to 65535
      for example `port: 3000`
    ");
}
