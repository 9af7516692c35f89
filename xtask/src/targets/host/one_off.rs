//! The released program, run once more in a container of its own.

use anyhow::anyhow;

use super::{Host, image, settings};
use crate::failure::Failure;
use crate::release::Settings;
use crate::state::history::{self, Record};
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
        let engine = self.engine().await?;
        let container = engine.make(&spec).await?;
        let run = async {
            engine.begin(&container).await?;
            self.show(&container, None, true, None).await?;
            Ok::<_, Failure>(engine.ended(&container).await?)
        };
        let ended = self.env.stop.cancels("the program was stopped", run).await;
        engine.discard(&container).await?;
        match ended? {
            0 => Ok(()),
            code => {
                let failure = anyhow!("the program ended with exit code {code}");
                Err(Failure::Ended(u8::try_from(code).unwrap_or(1), failure))
            }
        }
    }
}
