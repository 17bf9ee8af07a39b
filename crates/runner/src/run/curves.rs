//! The files that a run's curves go to, kept in step with its checkpoints.

use crate::directory::RunDirectory;
use crate::files::write_atomically;
use crate::records::RecordError;
use crate::records::events::EventWriter;
use crate::records::histogram::Histogram;
use crate::records::hparams::HParams;
use crate::records::layout::Layout;
use crate::records::metrics_csv::{self, MetricsCsv};
use crate::records::summary::Status;
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// TensorBoard events, `metrics.csv`, and pictures as files.
#[derive(Debug)]
pub(super) struct Curves {
    events: EventWriter,
    metrics: MetricsCsv,
    images: PathBuf,
    /// The newest value of every tag, in the order in which they first came.
    latest: Vec<(String, f64)>,
}

impl Curves {
    /// New files at step 0; afterwards the old ones, without what was written after `step`.
    pub(super) fn open(directory: &RunDirectory, step: u64, config: &Value) -> Result<Self> {
        let (path, images) = (directory.path(), directory.images());
        fs::create_dir_all(&images).with_context(|| format!("{}: cannot be made", images.display()))?;
        if step > 0 {
            let mut events = EventWriter::resume(path, step)?;
            // Again, because `train` may have changed; it stands in place of the earlier row.
            events.hparams_start(&HParams::from_config(config))?;
            let metrics = MetricsCsv::resume(&directory.metrics(), step)?;
            let mut curves = Self { events, metrics, images, latest: Vec::new() };
            for metric in metrics_csv::read(&directory.metrics())? {
                curves.remember(&metric.tag, metric.value);
            }
            return Ok(curves);
        }
        let mut events = EventWriter::start(path)?;
        events.hparams_start(&HParams::from_config(config))?;
        events.layout(&Layout::of_a_run())?;
        events.text("config", 0, &format!("```json\n{config:#}\n```"))?;
        let metrics = MetricsCsv::start(&directory.metrics())?;
        Ok(Self { events, metrics, images, latest: Vec::new() })
    }

    pub(super) fn scalars(&mut self, step: u64, scalars: &[(String, f64)]) -> Result<(), RecordError> {
        self.events.scalars(step, scalars)?;
        self.metrics.log(step, scalars)?;
        self.events.flush()?;
        for (tag, value) in scalars {
            self.remember(tag, *value);
        }
        Ok(())
    }

    pub(super) fn histogram(&mut self, tag: &str, step: u64, values: &[f32]) -> Result<(), RecordError> {
        self.events.histogram(tag, step, &Histogram::of(values))
    }

    /// A picture under `pictures/<name>`, and as `images/step-<step>-<name>.png`.
    pub(super) fn picture(&mut self, name: &str, step: u64, png: &[u8]) -> Result<(), RecordError> {
        self.events.image(&format!("pictures/{name}"), step, png)?;
        write_atomically(&self.images.join(format!("step-{step}-{name}.png")), png)?;
        self.events.flush()
    }

    /// Everything is on disk: before a checkpoint is written.
    pub(super) fn sync(&mut self) -> Result<(), RecordError> {
        self.events.sync()?;
        self.metrics.sync()
    }

    /// How the run ended, for the HPARAMS table.
    pub(super) fn end(&mut self, step: u64, status: Status) -> Result<(), RecordError> {
        self.events.hparams_end(step, status)?;
        self.events.flush()
    }

    pub(super) fn latest(&self) -> &[(String, f64)] {
        &self.latest
    }

    fn remember(&mut self, tag: &str, value: f64) {
        match self.latest.iter_mut().find(|(known, _)| known == tag) {
            Some((_, latest)) => *latest = value,
            None => self.latest.push((tag.to_owned(), value)),
        }
    }
}
