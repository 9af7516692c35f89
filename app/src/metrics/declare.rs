//! Declares metrics: each in the registry, and as a line of METRICS.md.

use std::{borrow::Cow, fmt::Debug};

use prometheus_client::{
    encoding::EncodeMetric,
    metrics::{TypedMetric, counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

/// Upper bounds, in seconds: from a file of the disk to a large upload.
const SECONDS: [f64; 14] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];

type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];

/// The metrics declared so far.
#[derive(Default)]
pub(super) struct Declarations {
    pub(super) registry: Registry,
    /// Lines of the table in METRICS.md.
    pub(super) documented: Vec<String>,
}

/// A metric for each combination of the values of its labels.
pub(super) struct Labelled<M, const N: usize> {
    names: [&'static str; N],
    family: Family<Labels<N>, M>,
}

impl Declarations {
    /// Its name gets the suffix `_total`.
    pub(super) fn counter<A, V, const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Labelled<Counter<A, V>, N>
    where
        Counter<A, V>: Default + Clone + Debug + EncodeMetric + TypedMetric + Send + Sync + 'static,
    {
        self.declare(name, "_total", "counter", help, labels, Counter::default)
    }

    pub(super) fn gauge<M, const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Labelled<M, N>
    where
        M: Default + Clone + Debug + EncodeMetric + TypedMetric + Send + Sync + 'static,
    {
        self.declare(name, "", "gauge", help, labels, M::default)
    }

    pub(super) fn histogram<const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Labelled<Histogram, N> {
        self.declare(name, "", "histogram", help, labels, || Histogram::new(SECONDS))
    }

    fn declare<M, const N: usize>(
        &mut self,
        name: &'static str,
        suffix: &str,
        kind: &str,
        help: &'static str,
        labels: [&'static str; N],
        new: fn() -> M,
    ) -> Labelled<M, N>
    where
        M: Clone + Debug + EncodeMetric + TypedMetric + Send + Sync + 'static,
    {
        let family = Family::new_with_constructor(new);
        self.registry.register(name, help, family.clone());
        self.documented.push(format!("| `{name}{suffix}` | {kind} | {} | {help} |", labels.join(", ")));
        Labelled { names: labels, family }
    }
}

impl<M: Clone, const N: usize> Labelled<M, N> {
    /// The metric with these values of the labels, in the order of their declaration.
    pub(super) fn at(&self, values: [Cow<'static, str>; N]) -> M {
        let mut values = values.into_iter();
        let labels = self.names.map(|name| (name, values.next().unwrap_or_default()));
        self.family.get_or_create_owned(&labels)
    }

    /// Removes all: their values are not known.
    pub(super) fn clear(&self) {
        self.family.clear();
    }
}
