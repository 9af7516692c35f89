//! The migrations are compiled in, and cargo does not see a new one.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
