//! What the operating system tells of this process, under the names that Prometheus' client libraries share
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).

use std::{sync::atomic::AtomicU64, time::SystemTime};

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use rustix::{
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

use super::declare::{Declarations, Labelled};

pub(super) struct ProcessMetrics {
    started: f64,
    cpu_seconds: Labelled<Counter<f64, AtomicU64>, 0>,
    resident_bytes: Labelled<Gauge, 0>,
    open_files: Labelled<Gauge, 0>,
    max_files: Labelled<Gauge, 0>,
    start_seconds: Labelled<Gauge<f64, AtomicU64>, 0>,
}

impl ProcessMetrics {
    pub(super) fn declare(all: &mut Declarations) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            started: now.as_secs_f64(),
            cpu_seconds: all.counter("process_cpu_seconds", "Processor time, without that of children", []),
            resident_bytes: all.gauge("process_resident_memory_bytes", "Resident memory, without that of children", []),
            open_files: all.gauge("process_open_fds", "Open file descriptors", []),
            max_files: all.gauge("process_max_fds", "The limit on open file descriptors", []),
            start_seconds: all.gauge("process_start_time_seconds", "When the process began to count, since 1970", []),
        }
    }

    /// Reads them anew. What this system does not tell is left out.
    pub(super) fn read(&self) {
        self.start_seconds.at([]).set(self.started);
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let (counter, now) = (self.cpu_seconds.at([]), cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9);
        counter.inc_by((now - counter.get()).max(0.0));
        let set = |gauge: &Labelled<Gauge, 0>, value: Option<u64>| {
            value.and_then(|value| i64::try_from(value).ok()).map(|value| gauge.at([]).set(value));
        };
        set(&self.resident_bytes, resident());
        set(&self.max_files, getrlimit(Resource::Nofile).current);
        let open = fs_err::read_dir("/dev/fd").ok().map(|open| open.count() as u64);
        // One of them is the folder that was read.
        set(&self.open_files, open.map(|open| open.saturating_sub(1)));
    }
}

fn resident() -> Option<u64> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
}
