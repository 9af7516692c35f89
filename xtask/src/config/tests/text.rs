//! Files that are not a deploy.yaml.

use camino::Utf8Path;
use insta::assert_snapshot;

use super::{SMALLEST, refused, refused_with};
use crate::config::Config;

/// The error of a deploy.yaml with these bytes, read from a folder.
fn refused_bytes(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(folder.path()).unwrap();
    fs_err::write(root.join("deploy.yaml"), bytes).unwrap();
    Config::load(root).unwrap_err().to_string()
}

#[test]
fn an_empty_file_is_refused() {
    assert_snapshot!(refused(""), @r"
    deploy.yaml:1:1: the file is empty
      begin with a line such as `project: my-service`
    ");
    assert_snapshot!(refused("\n  \n"), @r"
    deploy.yaml:1:1: the file is empty
      begin with a line such as `project: my-service`
    ");
    assert_snapshot!(refused("# project: shop\n# all of it commented out\n"), @r"
    deploy.yaml:1:1: the file has only comments
      begin with a line such as `project: my-service`
    ");
    assert_snapshot!(refused("--- # project: shop\n"), @r"
    deploy.yaml:1:1: the file has no keys
      begin with a line such as `project: my-service`
    ");
}

#[test]
fn a_tab_as_indentation_is_refused() {
    assert_snapshot!(refused_with("    port:", "\tport:"), @r"
    deploy.yaml:9:1: found a tab as indentation, expected spaces
      replace the tab with two spaces
    ");
    assert_snapshot!(refused_with("    port:", "  \tport:"), @r"
    deploy.yaml:9:3: found a tab as indentation, expected spaces
      replace the tab with two spaces
    ");
    assert_snapshot!(refused_with("  package:", "\tpackage:"), @r"
    deploy.yaml:3:1: found a tab as indentation, expected spaces
      replace the tab with two spaces
    ");
}

#[test]
fn text_that_is_not_yaml_is_refused() {
    assert_snapshot!(refused("This deploys the shop.\nIt is described in the wiki.\n"), @r"
    deploy.yaml:1:1: found the text `This deploys the shop. It is described i…`, expected a mapping
      for example `project: my-service`
    ");
    assert_snapshot!(refused("Note: this deploys the shop: see the wiki.\n"), @r"
    deploy.yaml:1:28: not YAML: mapping values are not allowed in this context
      check this line and the one above: indentation, the space after `:`, quotes, brackets
    ");
    assert_snapshot!(refused("{\"project\": \"shop\", \"service\": {\n"), @r"
    deploy.yaml:2:1: not YAML: did not find expected node content, while parsing a flow node
      check this line and the one above: indentation, the space after `:`, quotes, brackets
    ");
    assert_snapshot!(refused("{\"project\": \"shop\"}}\n"), @r"
    deploy.yaml:1:20: not YAML: did not find expected <document start>
      check this line and the one above: indentation, the space after `:`, quotes, brackets
    ");
    assert_snapshot!(refused("{\"a\": [1, 2}\n"), @r"
    deploy.yaml:1:12: not YAML: did not find expected ',' or ']', while parsing a flow sequence at line 1 column 7
      check this line and the one above: indentation, the space after `:`, quotes, brackets
    ");
    assert_snapshot!(refused("project: \"shop\nservice: x\n"), @r"
    deploy.yaml:3:1: not YAML: found unexpected end of stream, while scanning a quoted scalar at line 1 column 10
      check this line and the one above: indentation, the space after `:`, quotes, brackets
    ");
    assert_snapshot!(refused("project: *shop\n"), @r"
    deploy.yaml:1:10: not YAML: unknown anchor
      check this line and the one above: indentation, the space after `:`, quotes, brackets
    ");
    assert_snapshot!(refused(&"[".repeat(100_000)), @r"
    deploy.yaml:1:129: not YAML: nested too deeply
      check this line and the one above: indentation, the space after `:`, quotes, brackets
    ");
    assert_snapshot!(refused_bytes(b"\x7fELF\x02\x01\x01\0\0"), @r"
    deploy.yaml:1:1: not text: found the control character U+007F
      remove it, or put back the text file
    ");
    assert_snapshot!(refused_bytes(b"project: shop\nservice: \0\n"), @r"
    deploy.yaml:2:10: not text: found the control character U+0000
      remove it, or put back the text file
    ");
    assert_snapshot!(refused_bytes("project: käuf\n".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>().as_slice()), @r"
    deploy.yaml:1:21: not text in UTF-8: found the byte 0xe4
      save the file as UTF-8
    ");
}

#[test]
fn invalid_utf_8_is_refused_at_its_position() {
    assert_snapshot!(refused_bytes(b"project: shop\nservice: { package: \xc3\xa4\xe4 }\n"), @r"
    deploy.yaml:2:22: not text in UTF-8: found the byte 0xe4
      save the file as UTF-8
    ");
}

#[test]
fn a_second_document_is_refused() {
    assert_snapshot!(refused(&format!("{SMALLEST}---\n{SMALLEST}")), @r"
    deploy.yaml:10:1: a second document begins here
      keep one document: remove the `---`
    ");
    assert_snapshot!(refused(&format!("{SMALLEST}---\n")), @r"
    deploy.yaml:10:1: a second document begins here
      keep one document: remove the `---`
    ");
    assert!(Config::parse(&format!("---\n{SMALLEST}...\n")).is_ok());
}

#[test]
fn a_repeated_key_is_refused() {
    assert_snapshot!(refused(&(SMALLEST.to_owned() + "project: other\n")), @r"
    deploy.yaml:10:1: project: this key is repeated; the first is on line 1
      remove one of the two
    ");
    assert_snapshot!(refused_with("package: app", "package: app\n  \"package\": other"), @r"
    deploy.yaml:4:3: service.package: this key is repeated; the first is on line 3
      remove one of the two
    ");
    assert_snapshot!(refused(&(SMALLEST.to_owned() + "  local: { target: local, port: 1 }\n")), @r"
    deploy.yaml:10:3: environments.local: this key is repeated; the first is on line 7
      remove one of the two
    ");
    assert_snapshot!(refused(&(SMALLEST.to_owned() + "    settings: { A: 1, B: 2, A: 3 }\n")), @r"
    deploy.yaml:10:29: environments.local.settings.A: this key is repeated; the first is on line 10
      remove one of the two
    ");
}

#[test]
fn the_expansion_of_aliases_is_limited() {
    let ten_of = |alias: &str| format!("[{}]", [alias; 10].join(","));
    let mut bomb = format!("a0: &a0 {}\n", ten_of("boom"));
    for level in 1..12 {
        bomb += &format!("a{level}: &a{level} {}\n", ten_of(&format!("*a{}", level - 1)));
    }
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 40_000].join(","));
    assert_snapshot!(refused(&bomb), @r"
    deploy.yaml:1:35: aliases expand to far more than the file's size
      write the values out instead of using `*` aliases
    ");
    assert_snapshot!(refused(&long), @r"
    deploy.yaml:1:4: aliases expand to far more than the file's size
      write the values out instead of using `*` aliases
    ");
    assert_snapshot!(refused("a: &a [*a]\n"), @r"
    deploy.yaml:1:4: not YAML: nested too deeply
      check this line and the one above: indentation, the space after `:`, quotes, brackets
    ");
}

#[test]
fn the_file_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(folder.path()).unwrap();
    let said = || Config::load(root).unwrap_err().to_string().replace(root.as_str(), "/project");
    assert_snapshot!(said(), @r#"
    deploy.yaml: not found; looked for /project/deploy.yaml
      create it, or run the command in a folder that has one
    the smallest deploy.yaml is, for example:
      project: my-service
      service:
        package: my-service
        port_variable: PORT
        readiness: /ready
      environments:
        local:
          target: local
          port: 3000
    "#);
    let socket = std::os::unix::net::UnixListener::bind(root.join("deploy.yaml")).unwrap();
    assert_snapshot!(said(), @r"
    deploy.yaml: found a special file at /project/deploy.yaml, expected a text file
      put a text file in its place
    ");
    drop(socket);
    fs_err::remove_file(root.join("deploy.yaml")).unwrap();
    fs_err::create_dir(root.join("deploy.yaml")).unwrap();
    assert_snapshot!(said(), @r"
    deploy.yaml: found a folder at /project/deploy.yaml, expected a text file
      put a text file in its place
    ");
}

#[test]
fn a_huge_file_is_refused() {
    assert_snapshot!(refused_bytes(format!("{SMALLEST}{}", "# more\n".repeat(150_000)).as_bytes()), @r"
    deploy.yaml: larger than 1 MiB
      check whether another file was saved under this name
    ");
}

#[test]
fn a_file_that_would_take_long_to_read_is_refused_at_once() {
    assert_snapshot!(refused(&format!("a: {}", "b ".repeat(150_000))), @r"
    deploy.yaml: larger than 256 KiB
      check whether another file was saved under this name
    ");
    assert_snapshot!(refused(&format!("a: {}", "[".repeat(100_000))), @r"
    deploy.yaml:1:132: not YAML: nested too deeply
      check this line and the one above: indentation, the space after `:`, quotes, brackets
    ");
    // Each line opens a list, and its end is in a comment.
    assert_snapshot!(refused(&format!("a:\n{}", " [ #]\n".repeat(40_000))), @r"
    deploy.yaml:281:2: too many brackets for a file of this size
      write its lists and mappings as indented lines
    ");
    // The same keys, merged.
    let keys: String = (0..6_000).map(|number| format!("  key-{number}: 1\n")).collect();
    let error = refused(&format!("a: &a\n{keys}b:\n  <<: *a\n{keys}"));
    assert!(error.contains("unknown key"), "{error}");
    // Problems on every line: only those that are shown are located.
    let unknown: String = (0..12_000).map(|number| format!("keys-{number}: 1\n")).collect();
    assert!(refused(&unknown).ends_with("more problems") || refused(&unknown).contains("more problems"));
    for deep in ["- ", "? ", "!a ", "&a "] {
        let error = refused(&deep.repeat(80_000));
        assert!(error.starts_with("deploy.yaml:"), "{error}");
    }
}

#[test]
fn a_large_file_of_nonsense_is_refused() {
    let list = format!("project: [{}]\n", "a,".repeat(100_000));
    assert_snapshot!(refused_bytes(list.as_bytes()).lines().next().unwrap_or_default(), @r"deploy.yaml:1:1: service: missing");
}
