//! `init`: a first deploy.yaml for repositories of many shapes.

use std::path::Path;
use std::process::Command;

use testkit::{Ran, toolkit};

/// A repository's name, and its files with their contents.
type Shape = (&'static str, &'static [(&'static str, &'static str)]);

const AXUM: &str =
    "[package]\nname = \"shop\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\naxum = \"0.8\"\n";
const SOCKET: &str = "[package]\nname = \"inlet\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
    [[bin]]\nname = \"serve\"\npath = \"src/main.rs\"\n[dependencies]\nlistenfd = \"1\"\nhyper = \"1\"\n";
const API: &str =
    "[package]\nname = \"api\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\nactix-web = \"4\"\n";
const ADMIN: &str = "[package]\nname = \"admin\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
const BUILT: &str =
    r#"{ "scripts": { "start": "node dist/main.js", "build": "tsc" }, "dependencies": { "express": "5" } }"#;
const EXAMPLE: &str = "# Where\nexport PORT=8080\nDATABASE_URL=postgres://user@localhost/shop\nAPI_TOKEN=\nLOG_LEVEL=info # or debug\n\
    GREETING='on'\nNOTE=\nTITLE=\"a: b\"\n";

const SHAPES: [Shape; 11] = [
    ("axum", &[("Cargo.toml", AXUM), ("src/main.rs", "fn main() { route(\"/health\"); route(\"/readyz\") }")]),
    (
        "Work Space",
        &[
            ("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"api\", \"admin\"]\n"),
            ("api/Cargo.toml", API),
            ("api/src/main.rs", "fn main() {}"),
            ("admin/Cargo.toml", ADMIN),
            ("admin/src/main.rs", "fn main() {}"),
            (".env.example", EXAMPLE),
            ("migrations/0001_first.sql", "SELECT 1;"),
        ],
    ),
    ("socket", &[("Cargo.toml", SOCKET), ("src/main.rs", "fn main() {}")]),
    ("node", &[("server.js", "if (request.url === '/healthz') response.end('ok')")]),
    (
        "node-built",
        &[
            ("package.json", BUILT),
            ("package-lock.json", "{}"),
            ("src/main.ts", "app.get('/up', up)"),
            ("README.md", ""),
        ],
    ),
    ("go", &[("go.mod", "module example.org/go\n"), ("main.go", "Handle(\"/ping\", x)"), ("static/a.css", "")]),
    ("go-cmd", &[("go.mod", "module example.org/go\n"), ("cmd/api/main.go", "package main")]),
    ("python", &[("app.py", "@app.get('/health')"), ("Dockerfile", "FROM python\nEXPOSE 8000\n")]),
    ("python-packages", &[("main.py", ""), ("shop/views.py", ""), ("requirements.txt", "flask\n")]),
    ("image", &[("Dockerfile", "FROM scratch\nEXPOSE 8000\n"), (".env.example", "DATABASE_URL=postgres://a@b/c\n")]),
    ("procfile", &[("Procfile", "worker: node worker.js\nweb: node index.js --trust 'a b'\n"), ("index.js", "")]),
];

/// Writes the files into the folder of this name.
fn write(folder: &Path, (name, files): Shape) -> std::path::PathBuf {
    let root = folder.join(name);
    fs_err::create_dir(&root).unwrap();
    for (file, text) in files {
        let path = root.join(file);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
    root
}

fn run(root: &Path, args: &[&str]) -> Ran {
    Ran::of(Command::new(toolkit()).args(args).current_dir(root).env_remove("CI"))
}

#[test]
fn a_first_file_is_written_for_repositories_of_many_shapes() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = String::new();
    for shape in SHAPES {
        let root = write(folder.path(), shape);
        run(&root, &["init", "--yes"]).expect(0).says(&["cargo xtask deploy"]);
        let text = fs_err::read_to_string(root.join("deploy.yaml")).unwrap();
        all.push_str(&format!("──── {} ────\n{text}\n", shape.0));
        // It passes its own check.
        run(&root, &["history"]).expect(0);
        // And what the build makes.
        let made = match shape.0 {
            "node-built" => "/node_modules\n/dist\n",
            "go" | "go-cmd" => "/bin/server\n",
            "python-packages" => "/vendor\n",
            _ => "",
        };
        let ignored = format!("/.deploy\n/.env.local\n{made}");
        assert_eq!(fs_err::read_to_string(root.join(".gitignore")).unwrap(), ignored);
    }
    insta::assert_snapshot!("init", all);
}

#[test]
fn what_it_cannot_see_is_asked_for_and_named_where_there_is_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    // What it does not need is not read.
    let root = write(folder.path(), ("broken", &[("package.json", "{")]));
    run(&root, &["init", "--yes", "--", "node", "a.js"]).expect(0);
    let root = write(folder.path(), ("empty", &[(".gitignore", "/.deploy")]));
    let next = "name it, for example: cargo xtask init -- node server.js";
    run(&root, &["init"]).expect(2).says(&["shows what runs the service", next]);
    assert!(!root.join("deploy.yaml").exists());
    run(&root, &["init", "--readiness", "health", "--", "./serve"]).expect(2).says(&["service.readiness"]);
    assert!(!root.join("deploy.yaml").exists());
    run(&root, &["init", "--readiness", "/health", "--", "./serve", "--all"]).expect(0);
    let text = fs_err::read_to_string(root.join("deploy.yaml")).unwrap();
    assert!(text.contains("command: [./serve, \"--all\"]") && text.contains("readiness: /health\n"), "{text}");
    assert_eq!(fs_err::read_to_string(root.join(".gitignore")).unwrap(), "/.deploy\n/.env.local\n");
    run(&root, &["init"]).expect(2).says(&["there is a deploy.yaml already"]);
}

#[test]
fn a_service_in_a_folder_below_is_named() {
    let folder = tempfile::tempdir().unwrap();
    // What is in the first folders says nothing of a service, or is broken.
    let files: &[_] = &[
        ("docs/guide.md", ""),
        ("services/api/package.json", "{}"),
        ("services/ill/package.json", "{"),
        ("services/web/go.mod", ""),
    ];
    let root = write(folder.path(), ("several", files));
    let ran = run(&root, &["init", "--yes"]).expect(2);
    ran.says(&["cd services/web && cargo xtask init", "name it, for example: cargo xtask init -- node server.js"]);
    // As a shell takes it.
    let root = write(folder.path(), ("quoted", &[("a $(b) c/go.mod", "")]));
    run(&root, &["init", "--yes"]).expect(2).says(&["cd 'a $(b) c' && cargo xtask init"]);
    let root = write(folder.path(), ("ill", &[("api/package.json", "{")]));
    run(&root, &["init", "--yes"]).expect(2).says(&["cd api && cargo xtask init"]);
}

/// The program is installed without Rust, too.
#[test]
fn a_repository_with_a_cargo_package_is_looked_at_without_cargo() {
    let folder = tempfile::tempdir().unwrap();
    let without_cargo = |root: &Path| {
        let mut init = Command::new(toolkit());
        Ran::of(init.args(["init", "--yes"]).current_dir(root).env("PATH", "/usr/bin:/bin").env("CARGO", "no-cargo"))
    };
    let root = write(folder.path(), ("both", &[("Cargo.toml", AXUM), ("Dockerfile", "FROM scratch\n")]));
    without_cargo(&root).expect(0).says(&["git init && git add . && git commit"]);
    assert!(fs_err::read_to_string(root.join("deploy.yaml")).unwrap().contains("image: true"));
    let root = write(folder.path(), ("package", &[("Cargo.toml", AXUM)]));
    without_cargo(&root).expect(1).says(&["has a Cargo.toml, and cargo is not on the PATH", "https://rustup.rs"]);
}
