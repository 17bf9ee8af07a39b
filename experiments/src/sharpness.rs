//! Reconstructions of several runs beside each other: how sharp they are, and how alike the data to an independent classifier.

use crate::codes::refuse;
use anyhow::Result;
use elbo_data::{Dataset, Split};
use elbo_evaluation::classifier::{self, Classifier, Groups};
use elbo_evaluation::encode::encode;
use elbo_evaluation::exact::Estimate;
use elbo_evaluation::sharpness::{feature_distance, laplacian_energy};
use elbo_runner::TrainedRun;
use elbo_runner::watch::Watch;
use serde::Serialize;
use tch::{Kind, Tensor};

/// Share of the training data that is held out where there is no test split.
const HELD_OUT: f64 = 0.1;
/// Pictures decoded at once.
const BATCH: i64 = 100;

/// What the pictures of one run are like; those of the data in its first place.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The run, or `data`.
    pub name: String,
    /// Updates that made the model.
    pub step: u64,
    /// Laplacian energy, the mean over pictures.
    pub laplacian_energy: Estimate,
    /// Distance to the data in the classifier's features, as a share of that between two pictures.
    pub feature_distance: Estimate,
    /// How often the classifier tells the class of what it is shown; every class counts the same.
    pub classifier_accuracy: f64,
}

/// Looks at `runs`, all on the same data, at `examples` held-out pictures and their reconstructions from mean codes.
///
/// # Errors
/// When the data know no classes, or the runs' data differ in size; when a signal has come.
pub fn compare(runs: &[TrainedRun], examples: i64, seed: u64, watch: &Watch) -> Result<Vec<Row>> {
    let Some(first) = runs.first() else { return Ok(Vec::new()) };
    let (learning, data, held_out) = divide(first, seed)?;
    let held_out = held_out.at_most((examples / held_out.rows().len() as i64).max(1), seed)?;
    let mut stage = watch.stage("classifier");
    let mut progress = |done, total| stage.progress(done, total);
    let settings = classifier::Settings::default();
    let judge = classifier::train(&first.data.train.images, &learning, &settings, seed, &mut progress)?.classifier;
    drop(stage);

    let noise = first.noise_of(seed)?;
    let shown = |rows: &Tensor| data.images.gather(rows, &noise);
    let mut rows = vec![row("data", 0, &judge, &held_out, &shown, &shown)];
    for run in runs {
        let images = &run.data.train.images;
        if images.len() != first.data.train.images.len() || images.shape() != first.data.train.images.shape() {
            let problem = "expected runs on the same data, got data of another size";
            return refuse(&run.path.display().to_string(), problem);
        }
        let reconstructed = |rows: &Tensor| {
            let codes = encode(&run.vae, &data.images, Some(rows), BATCH, &noise);
            tch::no_grad(|| run.vae.decode_mean(codes.representatives()).clamp(0.0, 1.0))
        };
        rows.push(row(&run.config.name, run.step, &judge, &held_out, &shown, &reconstructed));
    }
    Ok(rows)
}

fn row(
    name: &str,
    step: u64,
    judge: &Classifier,
    groups: &Groups,
    shown: &dyn Fn(&Tensor) -> Tensor,
    made: &dyn Fn(&Tensor) -> Tensor,
) -> Row {
    let (rows, _) = groups.joined();
    let (mut energies, mut distances) = (Vec::new(), Vec::new());
    for rows in rows.split(BATCH, 0) {
        let (data, pictures) = (shown(&rows), made(&rows));
        let numbers = |values: Tensor| Vec::<f64>::try_from(values.to_kind(Kind::Double)).expect("a vector");
        energies.extend(numbers(laplacian_energy(&pictures)));
        distances.extend(numbers(feature_distance(judge, &data, &pictures)));
    }
    let accuracy = judge.accuracy(groups, BATCH, &mut |rows| made(rows));
    Row {
        name: name.to_owned(),
        step,
        laplacian_energy: Estimate::of(&energies),
        feature_distance: Estimate::of(&distances),
        classifier_accuracy: accuracy.balanced(),
    }
}

/// What the classifier learns from, and what it judges, by class.
fn divide(run: &TrainedRun, seed: u64) -> Result<(Groups, &Dataset, Groups)> {
    let train = &run.data.train;
    let Some((classes, count)) = classes(train) else {
        return refuse(
            &run.path.display().to_string(),
            "expected data with labels or factors, which a classifier learns",
        );
    };
    let all = Groups::of(&classes, count, None, run.device);
    if let Some(test) = &run.data.test
        && let Some((classes, of_test)) = classes_of(test, count)
    {
        debug_assert_eq!(of_test, count);
        return Ok((all, test, Groups::of(&classes, count, None, run.device)));
    }
    let (held_out, learning) = all.split(HELD_OUT, seed)?;
    debug_assert_eq!(train.split, Split::Train);
    Ok((learning, train, held_out))
}

fn classes_of(data: &Dataset, count: i64) -> Option<(Tensor, i64)> {
    classes(data).filter(|(_, found)| *found == count)
}

/// The labels, else the first factor: class of every picture, and their number.
fn classes(data: &Dataset) -> Option<(Tensor, i64)> {
    if let Some(labels) = &data.labels {
        let count = labels.max().int64_value(&[]) + 1;
        return (count > 1).then(|| (labels.to_kind(Kind::Int64), count));
    }
    let factors = data.factors.as_ref()?;
    Some((factors.classes.select(1, 0), factors.sizes[0]))
}
