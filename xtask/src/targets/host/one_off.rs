//! The released program, run once more in a container of its own.

use super::{Host, image, settings};
use crate::failure::Failure;
use crate::release::Settings;
use crate::state::history::{self, Record};
use crate::targets::docker::run_once;
use crate::targets::stack::settings::media;

impl Host<'_> {
    /// Runs the program of a record's release to its end with these arguments, and shows what it writes. Fails with its exit code.
    pub async fn run(&self, record: &Record, args: &[String]) -> Result<(), Failure> {
        let media = media(self.env).await?;
        let settings: Settings = settings::resolved(self.env, Some(&media))?.with_plain(&record.settings);
        let published = self.published(record).await?;
        let image = image::pull(self, &published).await?;
        let env = self.variables(record.version(), &settings)?;
        let spec = self.one_off(&history::new_id()?, record.version(), image, env, args);
        run_once(self.env, &self.machine, &spec).await
    }
}
