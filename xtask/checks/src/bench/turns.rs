//! Two things that are measured in turn: once each without counting, then A B A B.

use std::time::Duration;

use anyhow::Result;

/// How long something took, each time.
#[derive(Clone, Debug)]
pub struct Samples(Vec<Duration>);

/// What was measured and what it is compared with; the samples of one place belong together.
#[derive(Clone, Debug)]
pub struct Turns {
    /// The toolkit.
    pub measured: Samples,
    /// The same without it.
    pub reference: Samples,
}

impl Samples {
    /// Half of them took no longer.
    pub fn median(&self) -> Duration {
        Duration::from_secs_f64(median(self.0.iter().map(Duration::as_secs_f64).collect()))
    }

    /// The shortest and the longest.
    pub fn range(&self) -> (Duration, Duration) {
        let shortest = self.0.iter().min().copied().unwrap_or_default();
        (shortest, self.0.iter().max().copied().unwrap_or_default())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl Turns {
    /// Measures both this many times, after a first time that does not count: it fills caches.
    pub async fn take(
        count: usize,
        mut measured: impl AsyncFnMut() -> Result<Duration>,
        mut reference: impl AsyncFnMut() -> Result<Duration>,
        on_pair: impl Fn(Duration, Duration),
    ) -> Result<Self> {
        measured().await?;
        reference().await?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (one, other) = (measured().await?, reference().await?);
            on_pair(one, other);
            ours.push(one);
            theirs.push(other);
        }
        Ok(Self { measured: Samples(ours), reference: Samples(theirs) })
    }

    /// Both measured once.
    pub fn once(measured: Duration, reference: Duration) -> Self {
        Self { measured: Samples(vec![measured]), reference: Samples(vec![reference]) }
    }

    /// How many times as long as its reference it took: the median over the pairs. What disturbed both of a pair is in
    /// neither side of it.
    pub fn ratio(&self) -> f64 {
        let pairs = self.measured.0.iter().zip(&self.reference.0);
        median(pairs.map(|(ours, theirs)| ours.as_secs_f64() / theirs.as_secs_f64().max(f64::EPSILON)).collect())
    }
}

/// The middle one, or the mean of the middle two; 0 of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len() / 2, values.len() % 2) {
        (0, 0) => 0.0,
        (middle, 1) => values[middle],
        (middle, _) => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(seconds: &[f64]) -> Samples {
        Samples(seconds.iter().copied().map(Duration::from_secs_f64).collect())
    }

    #[test]
    fn medians_and_ranges_are_those_of_the_samples() {
        assert_eq!(samples(&[3.0, 1.0, 2.0]).median(), Duration::from_secs(2));
        assert_eq!(samples(&[4.0, 1.0, 2.0, 3.0]).median(), Duration::from_millis(2500));
        assert_eq!(samples(&[3.0, 1.0]).range(), (Duration::from_secs(1), Duration::from_secs(3)));
        assert_eq!(samples(&[]).median(), Duration::ZERO);
    }

    #[test]
    fn the_ratio_is_taken_pair_by_pair() {
        // The second pair ran while the machine was four times slower.
        let turns = Turns { measured: samples(&[2.0, 8.0, 2.0]), reference: samples(&[1.0, 4.0, 1.0]) };
        assert!((turns.ratio() - 2.0).abs() < 1e-9);
    }

    #[tokio::test]
    async fn both_are_taken_in_turn_after_a_warm_up() {
        let order = std::cell::RefCell::new(String::new());
        let take = |name: char| {
            order.borrow_mut().push(name);
            Ok(Duration::from_secs(1))
        };
        let turns = Turns::take(2, async || take('A'), async || take('B'), |_, _| {}).await.unwrap();
        assert_eq!((turns.measured.count(), order.borrow().as_str()), (2, "ABABAB"));
    }
}
