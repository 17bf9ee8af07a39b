//! The table of a sweep for `TensorBoard`'s HPARAMS page.

use super::collect::{Collected, spread};
use super::grid::name_of;
use anyhow::{Context, Result};
use elbo_runner::records::events::EventWriter;
use elbo_runner::records::hparams::HParams;
use elbo_runner::records::summary::Status;
use std::fs;
use std::path::{Path, PathBuf};

impl Collected {
    /// Writes `sweep/hparams/GROUP/` below `out`, one for each group of members that differ by their seed alone: what varies, and
    /// `mean/TAG` and `standard_deviation/TAG` (n − 1, of two or more finished members) of every scalar. Returns the folder.
    ///
    /// A group's row has the name that its runs' own rows have, so that a `TensorBoard` of the whole directory shows one row a group: the
    /// runs' averages, and the spread beside them.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn write_hparams(&self, out: &Path) -> Result<PathBuf> {
        let folder = out.join("sweep/hparams");
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("{}: cannot be removed", folder.display()))?;
        }
        for group in self.groups.iter().filter(|group| group.finished > 0) {
            let mut scalars = vec![("runs".to_owned(), group.finished as f64)];
            for (tag, values) in self.tags.iter().zip(&group.values) {
                let (mean, deviation) = spread(values);
                scalars.extend(mean.map(|mean| (format!("mean/{tag}"), mean)));
                scalars.extend(deviation.map(|deviation| (format!("standard_deviation/{tag}"), deviation)));
            }
            let mut events = EventWriter::start(&folder.join(name_of(&group.fields)))?;
            events.hparams_start(&HParams::from_config(&group.config))?;
            events.scalars(group.steps, &scalars)?;
            events.hparams_end(group.steps, Status::Finished)?;
            events.flush()?;
        }
        Ok(folder)
    }
}
