//! Whether a program crashed on its file.

use std::{os::unix::process::ExitStatusExt as _, process::ExitStatus};

use rustix::process::Signal;

/// A decoder that does one of these on a file does it again on each attempt: the file is corrupt, and the service is not
/// at fault. Other signals come from outside: a limit, or a service that stops.
const FAULTS: [Signal; 5] = [Signal::SEGV, Signal::BUS, Signal::ILL, Signal::FPE, Signal::ABORT];

/// Whether the program was ended by a fault of its own.
pub fn is_fault(status: ExitStatus) -> bool {
    FAULTS.iter().any(|fault| status.signal() == Some(fault.as_raw()))
}
