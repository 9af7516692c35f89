//! `cargo cutover`: the same as a command of cargo's.

fn main() -> std::process::ExitCode {
    xtask::cli::main()
}
