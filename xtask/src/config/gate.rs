//! The keys of the gate in deploy.yaml, with the defaults of each target.

use std::time::Duration;

use super::field::{Table, key};
use super::{Gate, Target};

/// What deploy.yaml says of the gate, in seconds.
#[derive(Default)]
pub(super) struct GateSeconds {
    timeout: Option<u64>,
    watch: Option<u64>,
    no_progress: Option<u64>,
}

pub(super) fn gate(table: &mut Table<'_>) -> Option<GateSeconds> {
    let timeout = table.optional(
        key("timeout", "60", "Seconds that a release may take to become ready.")
            .otherwise("60; 300 on a stack and at Easypanel"),
        |field| field.number("whole seconds from 1 to 3600", |seconds| (1..=3600).contains(seconds)),
    );
    let watch = table.optional(
        key("watch", "60", "Seconds that a release is watched after it has taken over.").otherwise("0; 60 on a stack"),
        |field| field.number("whole seconds from 0 to 3600", |seconds| (0..=3600).contains(seconds)),
    );
    let no_progress = table.optional(
        key(
            "no_progress",
            "120",
            "On a stack and at Easypanel: seconds after which a release is given up whose status and answers stay the same.",
        )
        .otherwise("120"),
        |field| field.number("whole seconds from 1 to 3600", |seconds| (1..=3600).contains(seconds)),
    );
    Some(GateSeconds { timeout: timeout?, watch: watch?, no_progress: no_progress? })
}

impl GateSeconds {
    /// With the defaults of a target.
    pub(super) fn or(self, target: &Target) -> Gate {
        let (timeout, watch) = match target {
            Target::Local(_) => (60, 0),
            Target::Scaleway(_) => (300, 60),
            // The panel has yet to pull the image.
            Target::Easypanel(_) => (300, 0),
            Target::Compose(_) | Target::Media(_) => (60, 0),
        };
        Gate {
            timeout: Duration::from_secs(self.timeout.unwrap_or(timeout)),
            watch: Duration::from_secs(self.watch.unwrap_or(watch)),
            no_progress: Duration::from_secs(self.no_progress.unwrap_or(120)),
        }
    }
}
