//! `cargo xtask`: takes a commit of this repository to a running, verified, reversible deployment.

fn main() -> std::process::ExitCode {
    xtask::cli::main()
}
