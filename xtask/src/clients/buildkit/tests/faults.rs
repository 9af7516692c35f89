//! What goes wrong: a step, the disk, the engine, the context, and people who change their mind.

use std::time::{Duration, Instant};

use super::super::*;
use super::scratch::{Scratch, Seen, build, engine, unique};
use crate::clients::docker::ConnectError;
use devservers::Buildkitd;
use devservers::OwnEngine;
use testkit::machine::all_command_lines;
use testkit::{or_skip, test_name, until_async};

#[tokio::test]
async fn a_failing_step_shows_its_instruction_its_last_lines_and_its_exit_code() {
    let scratch = Scratch::new(&format!(
        "RUN i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo line $i; done; echo {} is wrong; exit 3",
        unique()
    ));
    for builder in both().await {
        let (failed, seen) = build(&builder.0, &scratch, Output::Keep("xtask-test-failing:one")).await;
        let Err(BuildError::Step { step, tail, exit_code, .. }) = &failed else { panic!("{failed:?}") };
        assert!(step.starts_with("[") && step.contains("RUN i=0; while"), "{step}");
        assert_eq!(*exit_code, Some(3));
        assert_eq!(tail.len(), 25);
        assert!(
            tail.iter().any(|line| line == "line 40") && tail.iter().any(|line| line.ends_with("is wrong")),
            "{tail:?}"
        );
        assert!(Seen::has(&seen.failed, "RUN i=0"), "{seen:?}");
        let text = failed.unwrap_err().to_string();
        assert!(text.contains("failed with exit code 3. Its last output:\n"), "{text}");
    }
}

#[tokio::test]
async fn a_mistake_in_the_dockerfile_is_told_in_the_builders_words() {
    let scratch = Scratch::new("RUUN echo hello");
    for builder in both().await {
        let (failed, _) = build(&builder.0, &scratch, Output::Keep("xtask-test-failing:one")).await;
        let text = failed.unwrap_err().to_string();
        assert!(text.contains("unknown instruction: RUUN"), "{text}");
    }
}

#[tokio::test]
async fn a_context_that_breaks_off_is_told_as_that() {
    let scratch = Scratch::new("RUN echo hello");
    for builder in both().await {
        let broken = tokio_util::io::StreamReader::new(futures_util::stream::iter([
            Ok(std::io::Cursor::new("half a tar")),
            Err(std::io::Error::other("git went away")),
        ]));
        let request = Request { context: Box::pin(broken), ..scratch.request() };
        let failed = builder.0.build(request, Output::Keep("xtask-test-failing:one"), |_| {}).await;
        assert!(
            matches!(&failed, Err(BuildError::Context(error)) if error.to_string() == "git went away"),
            "{failed:?}"
        );
    }
}

#[tokio::test]
async fn a_build_that_is_dropped_ends_in_the_builder_too() {
    for builder in both().await {
        // No other process of this machine sleeps for so long.
        let mut random = [0; 3];
        getrandom::fill(&mut random).unwrap();
        let seconds = 1_000_000 + u32::from_le_bytes([random[0], random[1], random[2], 0]);
        let sleep = format!("sleep {seconds}");
        let scratch = Scratch::new(&format!("RUN {sleep}"));
        let runs = || all_command_lines().contains(&sleep);
        let request = scratch.request();
        {
            let mut building = std::pin::pin!(builder.0.build(request, Output::Keep("xtask-test-dropped:one"), |_| {}));
            tokio::select! {
                built = &mut building => panic!("{built:?}"),
                () = until_async("the step runs", async || runs()) => {}
            }
        }
        until_async("the step has ended", async || !runs()).await;
    }
}

#[tokio::test]
async fn a_full_disk_is_the_engines() {
    let Some(own) = or_skip(&test_name(), OwnEngine::start(Some(48))) else { return };
    let builder = Builder::connect(None, Some(&own.address())).await.unwrap();
    let mut noise = vec![0; 60 << 20];
    getrandom::fill(&mut noise).unwrap();
    let scratch = Scratch::new("COPY big /big").file("big", noise);
    let (failed, _) = build(&builder, &scratch, Output::Keep("full:one")).await;
    let Err(BuildError::DiskFull { .. }) = &failed else { panic!("{failed:?}") };
    let text = failed.unwrap_err().to_string();
    assert!(text.contains(&own.address()) && text.contains("docker system df"), "{text}");
}

#[tokio::test]
async fn an_engine_that_is_killed_in_the_middle_has_gone() {
    let Some(mut own) = or_skip(&test_name(), OwnEngine::start(None)) else { return };
    let address = own.address();
    let builder = Builder::connect(None, Some(&address)).await.unwrap();
    let scratch = Scratch::new("RUN echo begun; sleep 100000");
    let began = Instant::now();
    let failed = builder
        .build(scratch.request(), Output::Keep("killed:one"), |event| {
            if matches!(event, Event::Log(_, "begun")) {
                own.kill();
            }
        })
        .await;
    assert!(matches!(failed, Err(BuildError::Gone { .. })), "{failed:?}");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let gone = Builder::connect(None, Some(&address)).await;
    assert!(matches!(gone, Err(ConnectError::Unreachable { .. })));
}

#[tokio::test]
async fn what_is_no_engine_is_told_from_what_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| format!("unix://{}", folder.path().join(name).display());
    let absent = Builder::connect(None, Some(&at("nothing.sock"))).await.err().unwrap();
    assert!(matches!(absent, ConnectError::Unreachable { .. }), "{absent:?}");
    let wrong = Builder::connect(Some("ssh://there"), None).await.err().unwrap();
    assert!(matches!(wrong, ConnectError::Address(_)), "{wrong:?}");
    let listener = tokio::net::UnixListener::bind(folder.path().join("odd.sock")).unwrap();
    let answer = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 404 Not Found\r\n\r\n").await.ok();
        }
    };
    let address = at("odd.sock");
    let odd = tokio::select! {
        odd = Builder::connect(None, Some(&address)) => odd.err().unwrap(),
        () = answer => unreachable!(),
    };
    assert!(matches!(odd, ConnectError::Protocol { .. }), "{odd:?}");
}

/// Both kinds of builder, as far as this machine has them.
async fn both() -> Vec<(Builder, Option<Buildkitd>)> {
    let mut builders = Vec::new();
    builders.extend(engine().await.map(|engine| (Builder::Engine(engine), None)));
    if let Some(daemon) = or_skip(&test_name(), Buildkitd::start()) {
        builders.push((Builder::connect(Some(&daemon.address()), None).await.unwrap(), Some(daemon)));
    }
    builders
}
