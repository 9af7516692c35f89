//! The media service of this repository, against programs that do the same: libvips, nginx, a plain receiver.

mod asked;
mod pictures;
mod served;
mod service;
mod uploads;
mod wrk;

pub use self::pictures::by_format;
pub use self::served::{files, lists, start};
pub use self::uploads::at_once;
