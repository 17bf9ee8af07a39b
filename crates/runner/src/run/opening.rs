//! Opening a run: everything that can be refused is refused before anything is written.

use super::{Clock, Curves, Note, Run, capturing, resuming};
use crate::InputError;
use crate::config::{RunConfig, below};
use crate::directory::{Found, RunDirectory};
use crate::files::remove_leftovers;
use crate::method::{BuildContext, Method};
use crate::records::summary::Status;
use crate::seed::{Stream, generator};
use crate::trainer::Trainer;
use crate::world::World;
use crate::{device, memory};
use anyhow::Result;
use elbo_core::FieldError;
use elbo_data::{BatchOrder, DataError, Splits};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// What to run, and where.
#[derive(Debug, Clone)]
pub struct RunOptions<M> {
    /// The configuration, or `None` to continue with the stored one.
    pub config: Option<RunConfig<M>>,
    /// What errors call the configuration.
    pub origin: String,
    /// The run's directory.
    pub directory: PathBuf,
    /// Continue what is there, with its stored configuration; start where nothing is.
    pub resume: bool,
}

impl<M: Method> Run<M> {
    /// Opens a run: new, or continued with `resume`. `progress` is told what takes time.
    ///
    /// # Errors
    /// [`InputError`] for what the user can put right, and then nothing on disk has changed.
    pub fn open(options: &RunOptions<M>, progress: &mut dyn FnMut(&str)) -> Result<Self> {
        Self::open_among(options, None, progress)
    }

    /// [`Run::open`] as rank 0 of `world`, whose other ranks open a [`Follower`](super::Follower).
    ///
    /// # Errors
    /// As [`Run::open`]; or another rank cannot follow, and then nothing on disk has changed either.
    pub fn open_among(
        options: &RunOptions<M>,
        world: Option<Arc<World>>,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self> {
        let path = &options.directory;
        let found = RunDirectory::look(path)?;
        if found == Found::Run && !options.resume {
            return Err(already_there(path).into());
        }
        RunDirectory::refuse_locked(path)?;
        RunDirectory::probe(path)?;
        let mut config = resuming::configuration(options, found)?;
        let device = device::resolve(config.device)?;
        config.device = device::choice_of(device);
        device::set_precision(config.precision)?;
        let data = config.data.load(device, progress).map_err(|error| data_error(&options.origin, error))?;
        let mut trainer = build(&config, &options.origin, device, &data, world.as_deref())?;
        let (capture, origin) = (config.train.capture, &options.origin);
        let (stream, note) = capturing::prepare(&mut trainer, capture, device, world.is_none(), origin)?;
        let mut notes: Vec<Note> = note.into_iter().collect();
        let subset = subset(&config, &data, device)?;
        if let Some(world) = &world {
            // Now that the data are in the cache; and back when every rank is ready.
            world.publish(&serde_json::json!({ "config": config, "origin": options.origin, "directory": path }))?;
            world.ranks().meet()?;
            notes.extend(world.join_gpus(device)?.map(|text| Note::Information(text.to_owned())));
        }

        let directory = RunDirectory::open(path)?;
        if found != Found::Run && RunDirectory::look(path)? == Found::Run {
            return Err(already_there(path).into());
        }
        for folder in [directory.path(), &directory.checkpoints(), &directory.images()] {
            if folder.exists() {
                remove_leftovers(folder)?;
            }
        }
        let earlier = resuming::restore(&directory, &mut trainer, &mut notes)?;
        if let Some(world) = &world {
            trainer.take_first(world.ranks())?;
            notes.extend(inexact(&trainer));
        }
        resuming::store_configuration(&directory, &config, device, world.as_ref().map_or(1, |world| world.size()))?;
        let mut curves = Curves::open(&directory, trainer.step(), &serde_json::to_value(&config)?)?;
        if trainer.step() >= config.train.steps {
            // Nothing is left to do: the run stays finished.
            curves.end(trainer.step(), Status::Finished)?;
        }
        let clock = Clock::new(earlier);
        Ok(Self {
            config,
            directory,
            device,
            data,
            trainer,
            stream,
            graph_nodes: None,
            curves,
            clock,
            subset,
            notes,
            world,
        })
    }
}

/// Networks, optimisers and data order, from the seed.
pub(super) fn build<M: Method>(
    config: &RunConfig<M>,
    origin: &str,
    device: Device,
    data: &Splits,
    world: Option<&World>,
) -> Result<Trainer> {
    let shape = data.train.images.shape();
    let image = [shape.channels, shape.height, shape.width];
    let (batch, length) = (config.data.batch_size, data.train.images.len());
    config.model.check(image).map_err(|error| InputError::in_field(origin, &below("model", error)))?;
    let context = BuildContext {
        model: &config.model,
        optimizer: &config.optimizer,
        image,
        dataset_len: length,
        device,
        // On the CPU, so that one seed is one model on every device.
        initialisation: &generator(Device::Cpu, config.seed, Stream::Initialisation)?,
    };
    let mut algorithm = config.method.build(&context).map_err(|error| as_input(origin, error))?;
    algorithm.check(batch, length).map_err(|error| misfit(origin, "data.batch_size", &error))?;
    if config.train.evaluate_every > 0 {
        // Refused now rather than at the first evaluation.
        let (field, rows) = evaluated(config, data);
        if let Err(error) = algorithm.check(batch.min(rows), rows) {
            // The method's own fields were held against the training set, and it is not trained on these examples.
            if error.downcast_ref::<FieldError>().is_none() {
                return Err(misfit(origin, &format!("{field}: too few examples to evaluate"), &error).into());
            }
        }
    }
    if config.train.score_every > 0 && data.train.factors.is_none() {
        let problem = "expected 0, because the factors of the data are not known";
        return Err(InputError::new(format!(
            "{origin}: train.score_every: {problem}, got {}",
            config.train.score_every
        ))
        .into());
    }
    let own_part = batch / world.map_or(1, World::size);
    memory::refuse_what_cannot_fit(algorithm.as_ref(), shape, own_part, device, origin)?;
    if let Some(world) = world {
        let ranks = world.size();
        if batch % ranks != 0 {
            let line = format!(
                "{origin}: data.batch_size: expected a multiple of {ranks}, the number of processes, got {batch}"
            );
            return Err(InputError::new(line).into());
        }
        algorithm.train_among(Arc::clone(world.ranks())).map_err(|error| InputError::in_field(origin, &error))?;
    }
    let noise = generator(device, config.seed, Stream::Training)?;
    let order = BatchOrder::new(length, batch, &noise).map_err(|error| data_error(origin, error))?;
    Ok(Trainer::new(algorithm, noise, order, batch, device))
}

/// Batch normalisation sees a rank's own part of the batch.
fn inexact(trainer: &Trainer) -> Option<Note> {
    let has_buffers = !trainer.algorithm.vae().buffers().is_empty();
    let text = "batch normalisation takes the moments of each process's part of the batch: not the same training as one process's";
    has_buffers.then(|| Note::Warning(text.to_owned()))
}

/// What a method says of a batch that does not fit; of its own field where it names one.
fn misfit(origin: &str, about: &str, error: &anyhow::Error) -> InputError {
    match error.downcast_ref::<FieldError>() {
        Some(field) => InputError::in_field(origin, &below("method", field.clone())),
        None => InputError::new(format!("{origin}: {about}: {error:#}")),
    }
}

/// How many examples an evaluation takes its averages over, and the field that says so.
fn evaluated<M>(config: &RunConfig<M>, data: &Splits) -> (&'static str, i64) {
    match &data.test {
        Some(test) => ("data.test_fraction", test.len()),
        None => ("train.evaluate_subset", subset_len(config, data)),
    }
}

/// Size of the subset that exact terms are computed from.
fn subset_len<M>(config: &RunConfig<M>, data: &Splits) -> i64 {
    let length = data.train.images.len();
    match i64::try_from(config.train.evaluate_subset) {
        Ok(0) | Err(_) => length,
        Ok(wanted) => wanted.min(length),
    }
}

/// Indices of the examples that evaluations look at, sorted: all of them, or as many as the configuration says.
fn subset<M>(config: &RunConfig<M>, data: &Splits, device: Device) -> Result<Tensor> {
    let length = data.train.images.len();
    let wanted = subset_len(config, data);
    if wanted == length {
        return Ok(Tensor::arange(length, (Kind::Int64, device)));
    }
    // Drawn on the CPU, so that the subset is the same on every device.
    let chosen = generator(Device::Cpu, config.seed, Stream::Subset)?.permutation(length).narrow(0, 0, wanted);
    Ok(chosen.sort(0, false).0.to_device(device))
}

/// A setting that does not fit is the user's to put right, whoever noticed it.
fn as_input(origin: &str, error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<FieldError>() {
        Ok(field) => InputError::in_field(origin, &field).into(),
        Err(other) => InputError::new(format!("{origin}: {other:#}")).into(),
    }
}

pub(super) fn data_error(origin: &str, error: DataError) -> InputError {
    match error {
        DataError::Field { field, message } => InputError::new(format!("{origin}: data.{field}: {message}")),
        other => InputError::new(other.to_string()),
    }
}

fn already_there(path: &Path) -> InputError {
    let path = path.display();
    InputError::new(format!("{path}: already holds a run; --resume continues it, --run-dir DIRECTORY starts another"))
}
