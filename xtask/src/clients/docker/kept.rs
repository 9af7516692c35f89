//! Containers that outlive this process, and what belongs to them: networks, files, programs that run in them.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::StartExecResults;
use bollard::models::{
    ContainerCreateBody, ContainerSummaryStateEnum, ContainerUpdateBody, EndpointSettings, ExecConfig, HostConfig,
    HostConfigLogConfig, Mount, MountType, NetworkCreateRequest, NetworkingConfig, PortBinding, ResourcesUlimits,
    RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, ImportImageOptionsBuilder,
    ListContainersOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
    WaitContainerOptions,
};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use tokio::io::AsyncWriteExt as _;

use super::beside::Neighbour;
use super::{Engine, within};

/// How long an image may take from engine to engine.
const COPY: Duration = Duration::from_secs(3600);

/// What a container is.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    pub name: String,
    /// Its name or id.
    pub image: String,
    /// Arguments in the place of the image's own; none keeps those.
    pub args: Option<Vec<String>>,
    /// `NAME=value`. They have secrets, and are shown nowhere.
    pub env: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub network: String,
    /// If set, network, volumes, rights and limits come from that container, and those of this value are not used.
    pub beside: Option<Box<Neighbour>>,
    /// A name in that network.
    pub alias: Option<String>,
    /// Ports that are published.
    pub ports: Vec<Port>,
    /// Volumes, and where they are in it.
    pub volumes: Vec<(String, String)>,
    /// A capability that it keeps.
    pub keeps: Option<&'static str>,
    /// Processors, in billionths.
    pub nano_cpus: Option<i64>,
    /// In MiB. A half of it may be files below /tmp.
    pub memory: Option<u32>,
    /// Whether it is started again when it ends by itself, and with the engine.
    pub restarts: bool,
}

/// A published port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// In the container.
    pub inside: u16,
    /// The address of the host; none for each.
    pub address: Option<&'static str>,
    /// On the host; none for any that is free.
    pub outside: Option<u16>,
}

/// A container that the engine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub id: String,
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub is_running: bool,
    /// Published ports, by those in the container.
    pub ports: BTreeMap<u16, u16>,
}

impl Engine {
    /// The containers with this label, running or not, newest first.
    pub async fn kept(&self, label: &str, value: &str) -> Result<Vec<Kept>> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{label}={value}")])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let listed = within(self.api.list_containers(Some(options))).await;
        let listed = listed.with_context(|| format!("list the containers of {value}"))?;
        let kept = listed.into_iter().filter_map(|container| {
            let name = container.names?.into_iter().next()?.trim_start_matches('/').to_owned();
            let ports = container.ports.unwrap_or_default().into_iter();
            Some(Kept {
                id: container.id?,
                name,
                labels: container.labels.unwrap_or_default().into_iter().collect(),
                is_running: container.state == Some(ContainerSummaryStateEnum::RUNNING),
                ports: ports.filter_map(|port| Some((port.private_port, port.public_port?))).collect(),
            })
        });
        Ok(kept.collect())
    }

    /// Makes a container. Its id.
    pub async fn make(&self, spec: &Spec) -> Result<String> {
        let options = CreateContainerOptionsBuilder::new().name(&spec.name).build();
        let made = within(self.api.create_container(Some(options), spec.body())).await;
        Ok(made.with_context(|| format!("make the container {}", spec.name))?.id)
    }

    /// Starts a container, if it does not run.
    pub async fn begin(&self, container: &str) -> Result<()> {
        let begun = within(self.api.start_container(container, None)).await;
        begun.with_context(|| format!("start the container {container}"))
    }

    /// Asks a container to end, and kills it after these seconds. It is kept.
    pub async fn end(&self, container: &str, seconds: i32) -> Result<()> {
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        match within(self.api.stop_container(container, Some(options))).await {
            Ok(()) | Err(Error::DockerResponseServerError { status_code: 304 | 404, .. }) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("stop the container {container}")),
        }
    }

    /// Removes a container. Its volumes are kept.
    pub async fn discard(&self, container: &str) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::new().force(true).build();
        match within(self.api.remove_container(container, Some(options))).await {
            Ok(()) | Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("remove the container {container}")),
        }
    }

    /// Has a container started again whenever it ends by itself, and with the engine.
    pub async fn keep_up(&self, container: &str) -> Result<()> {
        let body = ContainerUpdateBody { restart_policy: Some(restarts()), ..ContainerUpdateBody::default() };
        let updated = within(self.api.update_container(container, body)).await;
        updated.with_context(|| format!("have the container {container} started again"))
    }

    /// How often a container was started again; none where it does not run.
    pub async fn restarts(&self, container: &str) -> Result<Option<i64>> {
        let found = within(self.api.inspect_container(container, None)).await;
        let found = found.with_context(|| format!("look at the container {container}"))?;
        let is_running = found.state.is_some_and(|state| state.running == Some(true) && state.restarting != Some(true));
        Ok(is_running.then(|| found.restart_count.unwrap_or_default()))
    }

    /// Resolves when a container has ended, with its exit code.
    pub async fn ended(&self, container: &str) -> Result<i64> {
        let mut ended = Box::pin(self.api.wait_container(container, None::<WaitContainerOptions>));
        match ended.next().await {
            Some(Ok(ended)) => Ok(ended.status_code),
            // Any code but 0.
            Some(Err(Error::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(anyhow!(error).context(format!("wait for the container {container}"))),
            None => Err(anyhow!("the engine does not tell how the container {container} ended")),
        }
    }

    /// What a container wrote, piece by piece: its last lines or all, and with `follow` what comes.
    pub fn written(
        &self,
        container: &str,
        lines: Option<usize>,
        follow: bool,
    ) -> impl Stream<Item = Result<Vec<u8>>> + use<> {
        let lines = lines.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).follow(follow).tail(&lines).build();
        self.api.logs(container, Some(options)).map(|part| match part {
            Ok(part) => Ok(part.into_bytes().to_vec()),
            Err(error) => Err(anyhow!(error).context("read the log of a container")),
        })
    }

    /// The last lines that a container wrote.
    pub async fn last_lines(&self, container: &str, lines: usize) -> Result<Vec<String>> {
        let parts: Vec<_> = self.written(container, Some(lines), false).try_collect().await?;
        Ok(String::from_utf8_lossy(&parts.concat()).lines().map(str::to_owned).collect())
    }

    /// The content of a file in a container, whether that runs or not; none where it is missing.
    pub async fn file_in(&self, container: &str, path: &str) -> Result<Option<Vec<u8>>> {
        let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
        let parts = self.api.download_from_container(container, Some(options)).try_collect::<Vec<_>>();
        let tar = match within(parts).await {
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => return Ok(None),
            tar => tar.with_context(|| format!("read {path} of the container {container}"))?.concat(),
        };
        let mut archive = tar::Archive::new(tar.as_slice());
        let mut entry = archive.entries()?.next().context("the engine sent no file")??;
        let mut content = Vec::new();
        entry.read_to_end(&mut content).with_context(|| format!("read {path} of the container {container}"))?;
        Ok(Some(content))
    }

    /// Runs a program in a container, with this input: what it wrote. Fails with that if it does.
    pub async fn run_in(&self, container: &str, command: &[&str], input: &[u8]) -> Result<String> {
        let what = || format!("run {} in the container {container}", command[0]);
        let config = ExecConfig {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.iter().map(|&word| word.to_owned()).collect()),
            ..ExecConfig::default()
        };
        let exec = within(self.api.create_exec(container, config)).await.with_context(what)?.id;
        let started = within(self.api.start_exec(&exec, None)).await.with_context(what)?;
        let StartExecResults::Attached { output, input: mut stdin } = started else {
            return Err(anyhow!("the engine did not attach").context(what()));
        };
        stdin.write_all(input).await.with_context(what)?;
        stdin.shutdown().await.with_context(what)?;
        let parts: Vec<LogOutput> = within(output.try_collect()).await.with_context(what)?;
        let code = within(self.api.inspect_exec(&exec)).await.with_context(what)?.exit_code;
        let said: Vec<_> = parts.into_iter().map(LogOutput::into_bytes).collect();
        let said = String::from_utf8_lossy(&said.concat()).into_owned();
        ensure!(code == Some(0), "{}: {}", what(), said.trim());
        Ok(said)
    }

    /// Copies an image into another engine, without writing it anywhere on the way.
    pub async fn copy(&self, image: &str, to: &Self) -> Result<()> {
        let what = || format!("copy the image {image} to the engine at {}", to.address());
        let whole = self.api.export_image(image).map_err(std::io::Error::other);
        let options = ImportImageOptionsBuilder::new().quiet(true).build();
        // The engine answers when it has all of it.
        let to = to.api.clone().with_timeout(COPY);
        let loaded = to.import_image_stream(options, whole, None).try_for_each(|_| async { Ok(()) });
        loaded.await.with_context(what)
    }

    /// Makes a network that has this label, unless there is one of that name.
    pub async fn make_network(&self, name: &str, label: (&str, &str)) -> Result<()> {
        match within(self.api.inspect_network(name, None)).await {
            Ok(found) => {
                let is_own =
                    found.labels.is_some_and(|labels| labels.get(label.0).is_some_and(|value| value == label.1));
                ensure!(is_own, "the network {name} is another one's: it has no label {}={}", label.0, label.1);
                return Ok(());
            }
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => {}
            Err(error) => return Err(error).with_context(|| format!("look for the network {name}")),
        }
        let labels = [(label.0.to_owned(), label.1.to_owned())].into();
        let network = NetworkCreateRequest { name: name.to_owned(), labels: Some(labels), ..Default::default() };
        let made = within(self.api.create_network(network)).await;
        made.map(drop).with_context(|| format!("make the network {name}"))
    }
}

impl Spec {
    fn body(&self) -> ContainerCreateBody {
        let inside = |port: &Port| format!("{}/tcp", port.inside);
        let binding = |port: &Port| PortBinding {
            host_ip: port.address.map(str::to_owned),
            host_port: Some(port.outside.map(|port| port.to_string()).unwrap_or_default()),
        };
        let mount = |(name, place): &(String, String)| Mount {
            typ: Some(MountType::VOLUME),
            source: Some(name.clone()),
            target: Some(place.clone()),
            ..Mount::default()
        };
        let memory = self.memory.map(|mib| i64::from(mib) << 20);
        let tmp = match self.memory {
            Some(mib) => format!("size={}m,mode=1777", mib / 2),
            None => "size=64m,mode=1777".to_owned(),
        };
        let log = [("max-size", "10m"), ("max-file", "5")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let common = HostConfig {
            log_config: Some(HostConfigLogConfig { typ: Some("json-file".to_owned()), config: Some(log.into()) }),
            // As `program::write_no_core` does it for processes of this machine.
            ulimits: Some(vec![ResourcesUlimits { name: Some("core".to_owned()), soft: Some(1), hard: Some(1) }]),
            ..HostConfig::default()
        };
        if let Some(neighbour) = &self.beside {
            return neighbour.body(self, common);
        }
        let host = HostConfig {
            port_bindings: Some(self.ports.iter().map(|port| (inside(port), Some(vec![binding(port)]))).collect()),
            mounts: Some(self.volumes.iter().map(mount).collect()),
            network_mode: Some(self.network.clone()),
            readonly_rootfs: Some(true),
            tmpfs: Some([("/tmp".to_owned(), tmp)].into()),
            cap_drop: Some(vec!["ALL".to_owned()]),
            cap_add: self.keeps.map(|name| vec![name.to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            nano_cpus: self.nano_cpus,
            memory,
            memory_swap: memory,
            pids_limit: Some(512),
            restart_policy: self.restarts.then(restarts),
            ..common
        };
        let endpoint = EndpointSettings { aliases: self.alias.clone().map(|alias| vec![alias]), ..Default::default() };
        ContainerCreateBody {
            image: Some(self.image.clone()),
            cmd: self.args.clone(),
            env: Some(self.env.clone()),
            labels: Some(self.labels.clone().into_iter().collect()),
            exposed_ports: Some(self.ports.iter().map(inside).collect()),
            host_config: Some(host),
            networking_config: Some(NetworkingConfig {
                endpoints_config: Some([(self.network.clone(), endpoint)].into()),
            }),
            ..ContainerCreateBody::default()
        }
    }
}

fn restarts() -> RestartPolicy {
    RestartPolicy { name: Some(RestartPolicyNameEnum::UNLESS_STOPPED), maximum_retry_count: None }
}
