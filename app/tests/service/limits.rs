//! Programs with limits.

use std::{ffi::OsString, path::Path, process::Stdio, time::Duration};

use app::process::{
    Limits, ProcessError,
    limits::{Finished, Launcher, Program},
    slots::Slots,
};

use crate::support::eventually;

fn shell(script: &str) -> Program<'_> {
    Program {
        path: Path::new("/bin/sh"),
        arguments: ["-c", script].map(OsString::from).into(),
        environment: vec![("GIVEN", OsString::from("value"))],
        input: Stdio::null(),
        readable: Vec::new(),
        limits: Limits {
            memory: 1 << 30,
            file_size: 0,
            background: false,
            processor_time: Duration::from_secs(10),
            time: Duration::from_secs(60),
        },
        max_output: 1000,
    }
}

async fn run(program: Program<'_>) -> Result<Finished, ProcessError> {
    Launcher::new(env!("CARGO_BIN_EXE_app").into(), Slots::new(2)).run(program).await
}

async fn output(program: Program<'_>) -> String {
    String::from_utf8(run(program).await.unwrap().success().unwrap()).unwrap()
}

#[tokio::test]
async fn a_program_gets_its_input_and_nothing_of_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let [given, other] = ["given", "other"].map(|name| folder.path().join(name));
    fs_err::write(&given, "text").unwrap();
    fs_err::write(&other, "secret").unwrap();
    assert_eq!(output(shell("/usr/bin/env | /usr/bin/grep -v ^_ | /usr/bin/grep -v ^PWD=")).await, "GIVEN=value\n");
    let [show_given, show_other] = [&given, &other].map(|file| format!("/bin/cat {}", file.display()));
    let with_given = |script| Program { readable: vec![given.clone()], ..shell(script) };
    assert_eq!(output(with_given(&show_given)).await, "text");
    let refused = run(with_given(&show_other)).await.unwrap();
    assert!(refused.last_words.contains("Permission denied"), "{refused:?}");
    let write = format!("echo text > {}", folder.path().join("new").display());
    let written = run(shell(&write)).await.unwrap();
    assert!(!written.status.success(), "{written:?}");
}

#[tokio::test]
async fn a_program_that_takes_too_long_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let _writer = std::fs::File::options().read(true).write(true).open(&fifo).unwrap();
    let script = format!("/bin/cat {0} & /bin/cat {0}", fifo.display());
    let mut program = Program { readable: vec![fifo.clone()], ..shell(&script) };
    program.limits.time = Duration::from_millis(500);
    let failed = run(program).await.unwrap_err();
    assert!(matches!(failed, ProcessError::TimedOut), "{failed:?}");
    let cat = fifo.display().to_string();
    eventually("both programs end", async || running_with(&cat) == 0).await;
}

#[tokio::test]
async fn a_program_cannot_flood_the_service() {
    let failed = run(shell("while :; do echo output; done")).await.unwrap_err();
    assert!(matches!(&failed, ProcessError::Crashed(why) if why.contains("1000 bytes")), "{failed:?}");
    let script = "i=0; while [ $i -lt 20000 ]; do echo 'an error of a line' >&2; i=$((i+1)); done; echo done";
    assert_eq!(output(shell(script)).await, "done\n");
}

#[tokio::test]
async fn a_program_that_exceeds_its_processor_time_is_killed() {
    let mut program = shell("while :; do :; done");
    program.limits.processor_time = Duration::from_millis(1);
    let failed = run(program).await.unwrap().success().unwrap_err();
    assert!(matches!(failed, ProcessError::TimedOut), "{failed:?}");
}

#[tokio::test]
async fn a_program_in_the_background_gets_a_tenth_of_the_processor() {
    let mut program = shell("/usr/bin/nice");
    program.limits.background = true;
    assert_eq!(output(program).await, "10\n");
}

#[tokio::test]
async fn a_program_that_cannot_be_run_is_no_fault_of_the_file() {
    let failed = run(Program { path: Path::new("/usr/bin/no-such-program"), ..shell("") }).await.unwrap_err();
    assert!(matches!(&failed, ProcessError::Internal(error) if error.to_string().contains("cannot run")), "{failed:?}");
}

/// How many processes have this argument.
fn running_with(argument: &str) -> usize {
    let entries = fs_err::read_dir("/proc").unwrap().flatten();
    let commands = entries.filter_map(|entry| fs_err::read(entry.path().join("cmdline")).ok());
    commands.filter(|command| command.split(|byte| *byte == 0).any(|part| part == argument.as_bytes())).count()
}
