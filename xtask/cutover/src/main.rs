//! `cutover`: the toolkit as an installed program, for any repository.

fn main() -> std::process::ExitCode {
    xtask::cli::main()
}
