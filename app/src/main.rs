//! The program of the media service.

fn main() -> std::process::ExitCode {
    app::main()
}
