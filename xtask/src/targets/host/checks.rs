//! What a deploy to a Docker host takes.

use anyhow::{Context as _, Result};

use super::Host;
use super::settings::resolved;
use crate::check::Check;
use crate::clients::docker::Engine;
use crate::failure::Failure;
use crate::settings;
use crate::targets::stack::of_media;
use crate::tools::platform::free_bytes;

/// Free space that an image takes, and that a deploy does not warn of.
pub(super) const NEEDED_BYTES: u64 = 1 << 30;
pub(super) const WANTED_BYTES: u64 = 4 << 30;

/// The checks of what all hosts have. None changes anything.
pub async fn of_environment(host: &Host<'_>) -> Result<Vec<Check>, Failure> {
    let mut checks = vec![match resolved(host.env, None) {
        Ok(settings) => {
            let (plain, secret) = (settings.plain.len(), settings.secrets.iter().count());
            Check::good("settings", format!("{plain} settings, {secret} secrets"))
        }
        Err(failure) => Check::failed("settings", failure),
    }];
    if let Ok(table) = settings::table(host.env) {
        checks.extend(settings::unknown::checks(host.env, &table));
    }
    checks.extend(domain(host).await);
    checks.extend(of_media(host.env).await?);
    Ok(checks)
}

/// The checks of one host. None changes anything.
pub async fn of_host(host: &Host<'_>) -> Vec<Check> {
    let mut checks = Vec::new();
    let fix = &match host.machine.remote {
        Some(_) => format!("to see what the host lacks: cargo xtask setup host {}", host.env.name()),
        None => "start Docker: sudo systemctl start docker; to install it: cargo xtask setup --docker".to_owned(),
    };
    let engine = match host.engine().await {
        Ok(engine) => engine,
        Err(error) => {
            checks.push(Check::bad("engine", format!("{error:#}"), fix));
            return checks;
        }
    };
    match engine.info().await {
        Ok(info) => {
            let (cpus, memory) = (info.ncpu.unwrap_or_default(), info.mem_total.unwrap_or_default() >> 20);
            let place =
                host.machine.remote.as_ref().map_or_else(|| engine.address().to_string(), |remote| remote.address());
            let found = format!("Docker {} at {place}, {cpus} CPUs, {memory} MiB", engine.version());
            checks.push(Check::good("engine", found));
            checks.push(disk(host, &engine, info.docker_root_dir).await);
        }
        Err(error) => checks.push(Check::bad("engine", format!("{error:#}"), fix)),
    }
    checks.push(match engine.image(host.proxy).await {
        Ok(Some(_)) => Check::good("proxy", format!("the host has {}", host.proxy)),
        Ok(None) if host.proxy.contains('@') => Check::good("proxy", format!("the deploy pulls {}", host.proxy)),
        Ok(None) => Check::bad(
            "proxy",
            format!("the host has no image {}", host.proxy),
            "load it there, or name one of a registry by its digest: NAME@sha256:…",
        ),
        Err(error) => Check::bad("proxy", format!("{error:#}"), fix),
    });
    checks
}

/// Whether the public name leads anywhere: without that, the proxy gets no certificate.
async fn domain(host: &Host<'_>) -> Option<Check> {
    let domain = host.target.domain.as_deref()?;
    Some(match tokio::net::lookup_host((domain, 443)).await.map(|mut found| found.next()) {
        Ok(Some(address)) => Check::good("domain", format!("{domain} is {}", address.ip())),
        Ok(None) | Err(_) => Check::doubtful(
            "domain",
            format!("{domain} does not resolve, so the proxy gets no certificate; add a DNS record for it"),
        ),
    })
}

/// Whether the engine has room for an image.
async fn disk(host: &Host<'_>, engine: &Engine, folder: Option<String>) -> Check {
    let free = async {
        let folder = folder.context("the engine does not tell where its files are")?;
        match &host.machine.remote {
            Some(remote) => {
                let folder = shlex::try_quote(&folder)?;
                let (_, said) = remote.run(&format!("df -Pk {folder}"), Vec::new(), &[]).await?;
                let said = String::from_utf8_lossy(&said).into_owned();
                let kilobytes =
                    said.lines().last().and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
                Ok(Some(kilobytes.with_context(|| format!("df says: {said}"))? << 10))
            }
            None if engine.address().is_local() => free_bytes(folder.as_str().into()).map(Some),
            None => Ok::<_, anyhow::Error>(None),
        }
    };
    match free.await {
        Ok(Some(free)) if free < NEEDED_BYTES => Check::bad(
            "disk",
            format!("{} MB are free on the host", free >> 20),
            "make room there: docker system prune",
        ),
        Ok(Some(free)) if free < WANTED_BYTES => {
            Check::doubtful("disk", format!("only {} MB are free on the host", free >> 20))
        }
        Ok(Some(free)) => Check::good("disk", format!("{} GB free", free >> 30)),
        Ok(None) => Check::doubtful("disk", "the engine is on another machine, and its disk was not asked"),
        Err(error) => Check::doubtful("disk", format!("{error:#}")),
    }
}
