//! What cargo cannot know of this crate's build.

fn main() {
    // A migration that is added must be compiled in, although no source file changes with it.
    println!("cargo::rerun-if-changed=migrations");

    // What queries return is in there, and the macros do not tell cargo that they read it.
    println!("cargo::rerun-if-changed=../.sqlx");

    // Queries are checked against the committed .sqlx, also where DATABASE_URL is set for the service to run with, unless
    // `cargo xtask sqlx` says otherwise.
    println!("cargo::rerun-if-env-changed=SQLX_OFFLINE");
    if std::env::var_os("SQLX_OFFLINE").is_none() {
        println!("cargo::rustc-env=SQLX_OFFLINE=true");
    }
}
