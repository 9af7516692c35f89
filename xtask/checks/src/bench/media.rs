//! The media service of this repository, against programs that do the same: libvips, nginx, a plain receiver.

mod asked;
mod events;
mod heic;
mod parts;
mod pictures;
mod presigned;
mod queue;
mod ready;
mod served;
mod service;
mod uploads;
mod validated;
mod wrk;

pub use self::pictures::by_format;
pub use self::presigned::presigned;
pub use self::queue::{claim, workers};
pub use self::ready::until_ready;
pub use self::served::{PHOTOGRAPH, files, lists, start};
pub use self::service::Media;
pub use self::uploads::at_once;
