//! Slows down failed log-ins, against guessing passwords. Guests who open a share with a password are limited like strangers.
//!
//! A device that has logged in to the account before has a limit of its own, so that others cannot lock its user out. All
//! other clients are limited by account and address, by address, and by account: see OWASP, "Slow Down Online Guessing Attacks
//! with Device Cookies".
//!
//! Each limit lets some failures through at once, then one in an interval, by the generic cell rate algorithm. All are in this
//! process's memory, which is bounded without evicting any: a failure costs a password hash, and is forgotten in time.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use uuid::Uuid;

/// The limits on failed log-ins.
#[derive(Default)]
pub struct LoginThrottle {
    limits: Mutex<Limits>,
    names: RandomState,
}

/// A log-in that is to be limited.
#[derive(Clone, Debug)]
pub struct Attempt(Vec<Key>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many wrong passwords")]
pub struct TooManyAttempts {
    pub retry_after: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Owner(Uuid),
    Device(Uuid),
    SubjectAt(Subject, Network),
    Network(Network),
    Subject(Subject),
}

/// Unknown user names are limited too, so that the limits do not tell which names are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Account(Uuid),
    Share(Uuid),
    /// A hash of the name in lower case.
    UnknownName(u64),
}

/// An IPv4 address, or the first 64 bits of an IPv6 address, which is what one customer has.
type Network = u64;

#[derive(Default)]
struct Limits {
    /// When all failures of a key will be forgotten.
    forgotten_at: HashMap<Key, Instant>,
    /// The size at which keys without failures are removed.
    sweep_at: usize,
}

impl LoginThrottle {
    /// An attempt by a client that is logged in to this account.
    pub fn by_owner(account: Uuid) -> Attempt {
        Attempt(vec![Key::Owner(account)])
    }

    /// An attempt by a device that has logged in to this account before.
    pub fn by_known_device(device: Uuid) -> Attempt {
        Attempt(vec![Key::Device(device)])
    }

    /// An attempt by any other client. `account` is `None` if no account has this user name.
    pub fn by_stranger(&self, account: Option<Uuid>, username: &str, address: IpAddr) -> Attempt {
        let subject = account
            .map_or_else(|| Subject::UnknownName(self.names.hash_one(username.to_ascii_lowercase())), Subject::Account);
        Attempt::on(subject, address)
    }

    /// An attempt to open a share that has a password.
    pub fn by_guest(share: Uuid, address: IpAddr) -> Attempt {
        Attempt::on(Subject::Share(share), address)
    }

    /// Fails if the attempt must wait.
    pub fn check(&self, attempt: &Attempt) -> Result<(), TooManyAttempts> {
        let now = Instant::now();
        let limits = self.lock();
        let waits = attempt.0.iter().map(|key| limits.wait(*key, now));
        match waits.max() {
            Some(retry_after) if !retry_after.is_zero() => Err(TooManyAttempts { retry_after }),
            _ => Ok(()),
        }
    }

    pub fn record_failure(&self, attempt: &Attempt) {
        let now = Instant::now();
        let mut limits = self.lock();
        for key in &attempt.0 {
            limits.record(*key, now);
        }
    }

    /// Forgets the failures of this client with this account, but not those that others may have made.
    pub fn record_success(&self, attempt: &Attempt) {
        let mut limits = self.lock();
        for key in &attempt.0 {
            if !matches!(key, Key::Network(_) | Key::Subject(_)) {
                limits.forgotten_at.remove(key);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Limits> {
        // The map stays valid if a thread panics while it holds the lock.
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    fn on(subject: Subject, address: IpAddr) -> Self {
        let network = network(address);
        Self(vec![Key::SubjectAt(subject, network), Key::Network(network), Key::Subject(subject)])
    }
}

impl Key {
    /// How many failures may follow each other at once, and the interval of further ones.
    fn limit(self) -> (u32, Duration) {
        match self {
            Self::Owner(_) | Self::Device(_) | Self::SubjectAt(..) => (10, Duration::from_secs(30)),
            // An office may share an address.
            Self::Network(_) => (50, Duration::from_secs(6)),
            // Guesses from many addresses: 1,440 a day.
            Self::Subject(_) => (30, Duration::from_secs(60)),
        }
    }
}

impl Limits {
    fn wait(&self, key: Key, now: Instant) -> Duration {
        let (burst, interval) = key.limit();
        let failures_remembered = self.forgotten_at.get(&key).map_or(Duration::ZERO, |at| at.duration_since(now));
        failures_remembered.saturating_sub(interval * (burst - 1))
    }

    fn record(&mut self, key: Key, now: Instant) {
        if self.forgotten_at.len() >= self.sweep_at {
            self.forgotten_at.retain(|_, at| *at > now);
            self.sweep_at = (2 * self.forgotten_at.len()).max(1024);
        }
        let forgotten_at = self.forgotten_at.entry(key).or_insert(now);
        *forgotten_at = (*forgotten_at).max(now) + key.limit().1;
    }
}

fn network(address: IpAddr) -> Network {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(throttle: &LoginThrottle, account: u128, address: &str) -> Attempt {
        throttle.by_stranger(Some(Uuid::from_u128(account)), "name", address.parse().unwrap())
    }

    #[test]
    fn a_client_gets_a_burst_then_one_attempt_in_an_interval() {
        let (mut limits, now, key) = (Limits::default(), Instant::now(), Key::Device(Uuid::nil()));
        for _ in 0..10 {
            assert_eq!(limits.wait(key, now), Duration::ZERO);
            limits.record(key, now);
        }
        assert_eq!(limits.wait(key, now), Duration::from_secs(30));
        let later = now + Duration::from_secs(30);
        assert_eq!(limits.wait(key, later), Duration::ZERO);
        limits.record(key, later);
        assert_eq!(limits.wait(key, later), Duration::from_secs(30));
    }

    #[test]
    fn other_clients_and_known_devices_are_not_limited_by_a_client_that_is() {
        let throttle = LoginThrottle::default();
        let guessing = attempt(&throttle, 1, "192.0.2.1");
        for _ in 0..10 {
            throttle.check(&guessing).unwrap();
            throttle.record_failure(&guessing);
        }
        assert!(throttle.check(&guessing).unwrap_err().retry_after > Duration::from_secs(29));
        throttle.check(&attempt(&throttle, 2, "192.0.2.1")).unwrap();
        throttle.check(&attempt(&throttle, 1, "192.0.2.2")).unwrap();

        // From many addresses: strangers are slowed down, a known device is not.
        for number in 0..20 {
            throttle.record_failure(&attempt(&throttle, 1, &format!("198.51.100.{number}")));
        }
        let slowed = throttle.check(&attempt(&throttle, 1, "192.0.2.2")).unwrap_err().retry_after;
        assert!(slowed > Duration::from_secs(59) && slowed <= Duration::from_secs(60), "{slowed:?}");
        throttle.check(&LoginThrottle::by_known_device(Uuid::from_u128(7))).unwrap();
    }

    #[test]
    fn random_names_evict_no_limit_and_are_limited_by_address() {
        let throttle = LoginThrottle::default();
        let guessing = attempt(&throttle, 1, "192.0.2.1");
        for _ in 0..10 {
            throttle.record_failure(&guessing);
        }
        for number in 0..20_000_u32 {
            // Each from an IPv6 address of one customer.
            let address = format!("2001:db8::{:x}:{:x}", number >> 16, number & 0xffff);
            throttle.record_failure(&throttle.by_stranger(None, &number.to_string(), address.parse().unwrap()));
        }
        throttle.check(&guessing).unwrap_err();
        let another = throttle.by_stranger(None, "another", "2001:db8::ffff:ffff:1".parse().unwrap());
        throttle.check(&another).unwrap_err();
    }

    #[test]
    fn a_success_forgets_the_failures_of_its_own_client_only() {
        let throttle = LoginThrottle::default();
        let mine = attempt(&throttle, 1, "192.0.2.1");
        for _ in 0..9 {
            throttle.record_failure(&mine);
        }
        throttle.record_success(&mine);
        for _ in 0..10 {
            throttle.check(&mine).unwrap();
            throttle.record_failure(&mine);
        }
        throttle.check(&mine).unwrap_err();
        assert_eq!(throttle.lock().forgotten_at.len(), 3);
    }

    #[test]
    fn failures_in_the_past_take_no_memory() {
        let (mut limits, now) = (Limits::default(), Instant::now());
        for number in 0..100_000_u128 {
            // Three an interval are remembered.
            limits.record(Key::Device(Uuid::from_u128(number)), now + Duration::from_secs(10) * number as u32);
        }
        assert!(limits.forgotten_at.len() <= 1024, "{}", limits.forgotten_at.len());
    }
}
