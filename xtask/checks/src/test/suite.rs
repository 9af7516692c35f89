//! What can be run by itself.

use clap::ValueEnum;

use super::build::Program;
use super::machine::Takes;

/// What can be run by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Suite {
    /// rustfmt
    Format,
    /// clippy, without warnings; licences, sources and advisories of the dependencies
    Lint,
    /// Rendered files are up to date
    Render,
    /// The query cache is fresh
    Queries,
    /// The service, against a real PostgreSQL
    Service,
    /// The web UI: its code, and people's ways through it in a real Chromium
    Web,
    /// The toolkit's modules and its built binary
    Toolkit,
    /// The stand-in provider, with a real OpenTofu
    StandIn,
    /// Stacks from nothing to nothing, with a real OpenTofu and a real S3 server
    Tofu,
    /// Deploys to a stack, rehearsed, broken and recovered, with a real engine
    Rehearsal,
    /// The service's image, with a real engine and real registries
    Image,
    /// A fresh clone from the first deploy to the rollback, with real processes and load
    Journey,
}

impl Suite {
    /// The suites that were asked for; without any, all.
    pub fn chosen(only: &[Self]) -> Vec<Self> {
        let all = Self::value_variants().iter().copied();
        all.filter(|suite| only.is_empty() || only.contains(suite)).collect()
    }

    /// The suite that a test program belongs to.
    pub fn of(program: &Program, service: &str) -> Self {
        match (program.package.as_str(), program.target.as_str()) {
            (package, _) if package == service => Self::Service,
            ("standin", _) => Self::StandIn,
            ("rehearsal", "rehearsal") if !program.is_unit => Self::Rehearsal,
            (xtask::PACKAGE, "tofu") => Self::Tofu,
            (xtask::PACKAGE, "image") => Self::Image,
            (xtask::PACKAGE, "journey") => Self::Journey,
            _ => Self::Toolkit,
        }
    }

    /// Whether it takes the test programs, which are compiled first.
    pub fn has_programs(self) -> bool {
        self == Self::Lint || self.integration_tests().is_some()
    }

    /// Whether its tests take a PostgreSQL that is started for them.
    pub fn takes_database(self) -> bool {
        matches!(self, Self::Service | Self::Web | Self::Image)
    }

    /// Cargo's flags for its unit tests. Those of all libraries belong together: cargo tells them apart by packages only, and
    /// the packages are always all.
    pub fn units(self) -> &'static [&'static str] {
        match self {
            Self::Service | Self::Toolkit => &["--lib", "--bins"],
            Self::StandIn => &["--bin=standin"],
            _ => &[],
        }
    }

    /// Its integration test, as cargo names it.
    pub fn integration_tests(self) -> Option<&'static str> {
        match self {
            Self::Format | Self::Lint | Self::Render | Self::Queries => None,
            // The UI's tests are no programs of cargo's; they run the service, which is compiled for these.
            Self::Service | Self::Web => Some("service"),
            // All that are no other suite's.
            Self::Toolkit => Some("*"),
            Self::StandIn => Some("standin"),
            Self::Tofu => Some("tofu"),
            Self::Rehearsal => Some("rehearsal"),
            Self::Image => Some("image"),
            Self::Journey => Some("journey"),
        }
    }

    /// What its test programs take of the machine, and how many of their tests run at a time; by default, one for each
    /// processor.
    pub fn takes(self) -> (Takes, Option<usize>) {
        // Each looks at what the other could leave there, and the second finds the layers that the first has built. The other suites
        // that use it touch nothing but containers and images of their own.
        let engine = matches!(self, Self::Image | Self::Rehearsal);
        // A rehearsal listens on the machine's port 443.
        (Takes { engine }, (self == Self::Rehearsal).then_some(1))
    }
}

impl std::fmt::Display for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.to_possible_value().map(|value| value.get_name().to_owned()).as_deref().unwrap_or_default())
    }
}
