//! A model's codes of a data set, and an algorithm's terms over it: every image once, the last short batch included.

use crate::exact::{Progress, Samples};
use elbo_core::{Algorithm, BatchContext, FieldError, Gaussian, Generator, Posterior, Scalars, Vae};
use elbo_data::Images;
use tch::{Device, Kind, Tensor};

/// Codes of n images, on the device of the model.
#[derive(Debug)]
pub struct Codes {
    /// q(z|x) of every image: mean and log-variance `[n, D]` where it is Gaussian.
    pub posterior: Posterior,
    /// One sample from each, `[n, D]`.
    pub z: Tensor,
}

impl Codes {
    /// From the Gaussian posteriors of n images, wherever they come from; `noise` draws a sample of each.
    pub fn from_gaussian(posterior: Gaussian, noise: &Generator) -> Self {
        let z = posterior.sample(noise, 1);
        Self { posterior: Posterior::Gaussian(posterior), z }
    }

    /// Number of images.
    pub fn len(&self) -> i64 {
        self.z.size()[0]
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Means and log-variances `[n, D]`, where q(z|x) is Gaussian.
    pub fn gaussian(&self) -> Option<&Gaussian> {
        self.posterior.gaussian()
    }

    /// Means and log-variances `[n, D]` of q(z|x), where they are known; its whole density only if it is Gaussian.
    pub fn moments(&self) -> Option<&Gaussian> {
        match &self.posterior {
            Posterior::Gaussian(gaussian) => Some(gaussian),
            Posterior::Implicit { moments } => moments.as_ref(),
        }
    }

    /// The code to show for an image, `[n, D]`: the posterior's mean, or the sample where only that is known.
    pub fn representatives(&self) -> &Tensor {
        self.moments().map_or(&self.z, |moments| &moments.mean)
    }

    /// `count` new samples of the aggregate posterior, from different images as long as there are enough, then from all of them again.
    ///
    /// `None` where q(z|x) is not Gaussian.
    pub fn draw(&self, count: i64, noise: &Generator) -> Option<Samples> {
        assert!(count >= 1, "the number of samples must be at least 1, got {count}");
        let gaussian = self.gaussian()?;
        let rounds: Vec<Tensor> =
            (0..count).step_by(self.len() as usize).map(|_| noise.permutation(self.len())).collect();
        let own = Tensor::cat(&rounds, 0).narrow(0, 0, count);
        let rows = |t: &Tensor| t.index_select(0, &own);
        let z = Gaussian::new(rows(&gaussian.mean), rows(&gaussian.log_var)).sample(noise, 1);
        Some(Samples { z, own })
    }
}

/// Codes of the images at `rows` (Int64 `[n]` on their device; all of them for `None`), `batch` at a time, without gradients.
///
/// `noise` draws z, and the pixels of images that are binarised dynamically.
pub fn encode(vae: &Vae, images: &Images, rows: Option<&Tensor>, batch: i64, noise: &Generator) -> Codes {
    encode_watched(vae, images, rows, batch, noise, &mut |_, _| Ok(())).expect("nothing interrupts it")
}

/// As [`encode`], telling `progress` how many images are done.
///
/// # Errors
/// `progress`'s own.
pub fn encode_watched(
    vae: &Vae,
    images: &Images,
    rows: Option<&Tensor>,
    batch: i64,
    noise: &Generator,
    progress: &mut Progress<'_>,
) -> anyhow::Result<Codes> {
    let rows = Rows::new(images, rows);
    let (mut posteriors, mut z, mut done) = (Vec::new(), Vec::new(), 0);
    for indices in rows.batches(batch) {
        let (posterior, sample) = tch::no_grad(|| vae.encode(&images.gather(&indices, noise), noise));
        posteriors.push(posterior);
        z.push(sample);
        done += indices.size()[0];
        progress(done as usize, rows.len() as usize)?;
    }
    Ok(Codes { posterior: joined(&posteriors), z: Tensor::cat(&z, 0) })
}

/// Examples to encode at once: what is fast on a device. On a CPU larger batches leave the cache.
pub fn batch_size(device: Device) -> i64 {
    if device.is_cuda() { 2048 } else { 64 }
}

/// Means over the images at `rows` of what `algorithm` reports for a batch: each batch counts by its number of images.
///
/// So the mean of anything that is a mean over examples is its mean over the images; a term estimated from batches is the mean of its
/// estimates, not the term of the whole. The data set is the images at `rows`, whatever `context` says its size is. All values are
/// float64 on the device; nothing is read by the host.
///
/// # Errors
/// Where the algorithm refuses the batch size, and when libtorch does.
pub fn evaluate(
    algorithm: &dyn Algorithm,
    images: &Images,
    rows: Option<&Tensor>,
    batch: i64,
    context: &BatchContext<'_>,
) -> anyhow::Result<Scalars> {
    let rows = Rows::new(images, rows);
    let context = BatchContext { dataset_len: rows.len(), ..*context };
    match algorithm.check(batch.min(rows.len()), rows.len()) {
        // The method's own fields were held against the data it is trained on; here only the batch has to fit.
        Err(error) if error.downcast_ref::<FieldError>().is_none() => return Err(error),
        _ => {}
    }
    let mut sums: Vec<(String, Tensor)> = Vec::new();
    let mut non_finite: Option<Tensor> = None;
    for indices in rows.batches(batch) {
        let scalars = algorithm.evaluate(&images.gather(&indices, context.noise), &context)?;
        let share = indices.size()[0] as f64 / rows.len() as f64;
        if sums.is_empty() {
            let zero = |(name, value): &(String, Tensor)| (name.clone(), value.to_kind(Kind::Double).zeros_like());
            sums = scalars.entries().iter().map(zero).collect();
        }
        for ((name, sum), (other, value)) in sums.iter_mut().zip(scalars.entries()) {
            assert_eq!(name, other, "an algorithm must report the same names for every batch");
            *sum += value.to_kind(Kind::Double) * share;
        }
        if let Some(flag) = scalars.non_finite() {
            non_finite = Some(non_finite.map_or_else(|| flag.shallow_clone(), |all| all.maximum(flag)));
        }
    }
    let means = sums.iter().fold(Scalars::new(), |means, (name, value)| means.with(name.as_str(), value));
    Ok(match non_finite {
        Some(flag) => means.with_non_finite(&flag),
        None => means,
    })
}

/// Which images, on their device.
struct Rows(Tensor);

impl Rows {
    fn new(images: &Images, rows: Option<&Tensor>) -> Self {
        let rows = match rows {
            Some(rows) => rows.to_device(images.device()),
            None => Tensor::arange(images.len(), (Kind::Int64, images.device())),
        };
        assert!(rows.dim() == 1 && rows.size()[0] > 0, "rows must be Int64 [n], n ≥ 1, got {:?}", rows.size());
        Self(rows)
    }

    fn len(&self) -> i64 {
        self.0.size()[0]
    }

    /// Batches of `batch` rows; the last is shorter. A last batch of a single row, from which q(z) could not be estimated, goes with the
    /// one before it.
    fn batches(&self, batch: i64) -> impl Iterator<Item = Tensor> {
        assert!(batch >= 1, "the batch size must be at least 1, got {batch}");
        let rows = self.len();
        let single_left = rows % batch == 1 && rows > 1;
        let count = rows.div_euclid(batch) + i64::from(rows % batch != 0) - i64::from(single_left && batch > 1);
        (0..count).map(move |index| {
            let start = index * batch;
            let end = if index + 1 == count { rows } else { start + batch };
            self.0.narrow(0, start, end - start)
        })
    }
}

/// The posterior of all rows from those of the batches, which are of one variant.
fn joined(parts: &[Posterior]) -> Posterior {
    let cat = |gaussians: Vec<&Gaussian>| {
        let all = |of: fn(&Gaussian) -> &Tensor| Tensor::cat(&gaussians.iter().map(|g| of(g)).collect::<Vec<_>>(), 0);
        Gaussian::new(all(|g| &g.mean), all(|g| &g.log_var))
    };
    if let Some(gaussians) = parts.iter().map(Posterior::gaussian).collect() {
        return Posterior::Gaussian(cat(gaussians));
    }
    Posterior::Implicit {
        moments: parts
            .iter()
            .map(|part| match part {
                Posterior::Implicit { moments } => moments.as_ref(),
                Posterior::Gaussian(gaussian) => Some(gaussian),
            })
            .collect::<Option<Vec<_>>>()
            .map(cat),
    }
}
