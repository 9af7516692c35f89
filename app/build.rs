//! A migration that is added must be compiled in, although no source file changes with it.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
