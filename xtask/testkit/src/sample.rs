//! Cases of which a run tests a sample: tests that repeat a fault at many places take minutes.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

/// So many of the cases, in their order. `TEST_SEED` chooses which: `cargo xtask test` gives another one to each commit, and
/// the test that fails says it. With `TEST_THOROUGH` (`cargo xtask test --thorough`) all of them.
pub fn sample<T: Clone>(cases: &[T], count: usize) -> Vec<T> {
    if std::env::var_os("TEST_THOROUGH").is_some() {
        return cases.to_vec();
    }
    let seed = std::env::var("TEST_SEED").unwrap_or_default();
    // Only the words of a test that fails are shown.
    println!("a sample of {count} of {} cases, by TEST_SEED={seed}", cases.len());
    chosen(cases.len(), count, &seed).into_iter().map(|index| cases[index].clone()).collect()
}

/// `TEST_SEED` as a number, for tests whose cases are made at random. Printed, as the test that fails says it.
pub fn test_seed() -> u64 {
    let seed = std::env::var("TEST_SEED").unwrap_or_default();
    println!("cases at random, by TEST_SEED={seed}");
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    hasher.finish()
}

fn chosen(of: usize, count: usize, seed: &str) -> Vec<usize> {
    let rank = |index: &usize| {
        let mut hasher = DefaultHasher::new();
        (seed, index).hash(&mut hasher);
        hasher.finish()
    };
    let mut indices: Vec<usize> = (0..of).collect();
    indices.sort_by_key(rank);
    indices.truncate(count);
    indices.sort_unstable();
    indices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_in_order_and_every_case_is_in_that_of_some_seed() {
        let mut seen = [false; 10];
        for seed in 0..100 {
            let chosen = chosen(10, 3, &seed.to_string());
            assert!(chosen.len() == 3 && chosen.is_sorted(), "{chosen:?}");
            chosen.into_iter().for_each(|index| seen[index] = true);
        }
        assert_eq!(seen, [true; 10]);
        assert_eq!(chosen(2, 3, "few"), [0, 1]);
    }
}
