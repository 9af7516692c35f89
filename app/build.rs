//! Declares the build inputs that cargo does not detect.

fn main() {
    // The migrations are compiled in.
    println!("cargo::rerun-if-changed=migrations");

    // The sqlx macros read the query cache without telling cargo.
    println!("cargo::rerun-if-changed=../.sqlx");

    // Checks queries against the committed .sqlx, even if DATABASE_URL is set. `cargo xtask sqlx` sets SQLX_OFFLINE=false to
    // check them against a database.
    println!("cargo::rerun-if-env-changed=SQLX_OFFLINE");
    if std::env::var_os("SQLX_OFFLINE").is_none() {
        println!("cargo::rustc-env=SQLX_OFFLINE=true");
    }
}
