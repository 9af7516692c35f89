//! `app decode`: the child that decodes pictures. It gives up its rights, then takes jobs from the socket on its standard
//! input until the service closes it.

use std::{
    fs::File,
    io::Read as _,
    os::{fd::AsFd as _, unix::net::UnixStream},
    path::PathBuf,
    process::ExitCode,
};

use super::{
    image::{self, DeriveError},
    sandbox::{self, Access, Rights},
    wire::{self, Failed, Job, Output, Reply},
};

/// Decode pictures for the service
#[derive(clap::Args)]
pub struct DecodeArgs {
    #[command(flatten)]
    rights: Rights,
    /// Run programs that convert pictures; this folder is for their files
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// Runs the child. It must be called before the process has other threads, which would keep their rights.
pub fn main(args: &DecodeArgs) -> ExitCode {
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &DecodeArgs) -> anyhow::Result<()> {
    let socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    args.rights.limit()?;
    let landlocked = match &args.folder {
        None => {
            let landlocked = sandbox::restrict_files(&Access::default())?;
            sandbox::refuse_system_calls()?;
            landlocked
        }
        Some(folder) => {
            let landlocked = sandbox::restrict_files(&Access::to_programs().write(folder))?;
            sandbox::refuse_sockets()?;
            landlocked
        }
    };
    while let Some((job, file)) = wire::receive(&socket)? {
        args.rights.allow_processor_time()?;
        wire::reply(&socket, Reply::new(landlocked, work(job, file)))?;
    }
    Ok(())
}

fn work(job: Job, mut file: File) -> Result<Output, Failed> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| match error.kind() {
        std::io::ErrorKind::OutOfMemory => Failed::OutOfMemory,
        _ => Failed::Internal(error.to_string()),
    })?;
    match job {
        Job::Derive(limits) => image::derive(&bytes, limits).map(Output::Derived),
        Job::Grey(max_side) => image::upright_grey(&bytes, max_side).map(Output::Grey),
    }
    .map_err(|error| match error {
        DeriveError::Invalid(error) => Failed::Invalid(error),
        DeriveError::Internal(error) => Failed::Internal(error.to_string()),
    })
}
