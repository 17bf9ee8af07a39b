//! One attribute after the other: pictures are divided, a classifier is trained, a vector is made, and held-out pictures are edited.

use crate::codes::refuse;
use anyhow::Result;
use elbo_core::Generator;
use elbo_data::{Dataset, Split};
use elbo_evaluation::attributes::{Attribute, Edits, Indicator, direction};
use elbo_evaluation::classifier::{self, Accuracy, Groups, Trained};
use elbo_evaluation::encode::encode_watched;
use elbo_runner::TrainedRun;
use elbo_runner::watch::{Stage, Watch};
use tch::{Kind, Tensor};

/// Share of the training pictures that is held out where the data have no test split that knows the attribute.
const HELD_OUT: f64 = 0.2;
/// Pictures with and without the attribute that must be there, to learn from and held out.
const FEWEST: i64 = 4;

/// What is done for every attribute.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Strengths of the edits, rising; 0 and [`Settings::strength`] among them.
    pub strengths: Vec<f64>,
    /// The one that the indicator is about.
    pub strength: f64,
    /// Pictures at most that make the vector and train the classifier.
    pub images: i64,
    /// Held-out pictures without the attribute at most, and as many with it.
    pub edited: i64,
    /// Directions of either kind.
    pub directions: i64,
    /// Rows of the sheet.
    pub examples: i64,
    /// Pictures at once.
    pub batch: i64,
    /// Of all that is drawn.
    pub seed: u64,
    /// How the classifier is trained.
    pub classifier: classifier::Settings,
}

/// A model, and who watches.
#[derive(Debug)]
pub struct Study<'a> {
    /// The model with its data.
    pub run: &'a TrainedRun,
    /// What is done.
    pub settings: &'a Settings,
    /// Progress and interruption.
    pub watch: &'a Watch,
}

/// What is found out about one attribute.
#[derive(Debug)]
pub struct Finding {
    /// The attribute's name.
    pub name: String,
    /// Strength of the edit that the indicator is about.
    pub strength: f64,
    /// Pictures without and with it that made the vector and trained the classifier.
    pub learnt_from: Vec<i64>,
    /// Where the held-out pictures come from.
    pub held_out: Split,
    /// The judge.
    pub judge: Trained,
    /// How often it is right about held-out data; class 1 has the attribute.
    pub accuracy: Accuracy,
    /// How often it is right about the model's reconstructions of them.
    pub on_reconstructions: Accuracy,
    /// By the difference of means.
    pub plain: Indicator,
    /// By the vector with everything else held fixed, where there is something else that does not determine the attribute.
    pub balanced: Option<(Tensor, Indicator)>,
    /// The difference of means, `[D]`.
    pub vector: Tensor,
    /// Pictures of the sheet, data without the attribute, `[n, C, H, W]`, and their codes `[n, D]`.
    pub examples: (Tensor, Tensor),
}

/// Pictures by whether they have the attribute: those to learn from, and those to judge by.
struct Division<'a> {
    learning: Groups,
    data: &'a Dataset,
    held_out: Groups,
}

impl Study<'_> {
    /// Looks at one attribute.
    ///
    /// # Errors
    /// When there are too few pictures with it or without it; when a signal has come; when libtorch does.
    pub fn look_at(&self, name: &str) -> Result<Finding> {
        let Self { run, settings, .. } = *self;
        let train = &run.data.train;
        let attribute = Attribute::named(train, name).map_err(anyhow::Error::msg)?;
        let division = self.divide(&attribute)?;
        let noise = run.noise_of(settings.seed)?;

        let mut stage = self.stage(name, "classifier");
        let mut progress = |done, total| stage.progress(done, total);
        let (learning, steps) = (&division.learning, &settings.classifier);
        let judge = classifier::train(&train.images, learning, steps, settings.seed, &mut progress)?;
        drop(stage);

        let (rows, has) = learning.joined();
        let codes = self.codes(train, &rows, &noise, self.stage(name, "codes"))?;
        let vector = direction::difference(&codes, &has);
        let others = attribute.others(train, &rows);
        let balanced = if others.size()[1] > 0 { direction::balanced(&codes, &has, &others) } else { None };

        let (data, held_out) = (division.data, &division.held_out);
        let judged = &judge.classifier;
        let accuracy = judged.accuracy(held_out, settings.batch, &mut |rows| data.images.gather(rows, &noise));
        let on_reconstructions =
            judged.accuracy(held_out, settings.batch, &mut |rows| self.reconstructions(data, rows, &noise));

        let without = &held_out.rows()[0];
        let codes = self.codes(data, without, &noise, self.stage(name, "held-out codes"))?;
        let edits = Edits { vae: &run.vae, classifier: judged, class: 1, codes: &codes, batch: settings.batch };
        let along = |vector: &Tensor, what: &str| {
            let mut stage = self.stage(name, what);
            let mut progress = |done, total| stage.progress(done, total);
            edits.indicator(vector, &settings.strengths, settings.directions, &noise, &mut progress)
        };
        let plain = along(&vector, "edits")?;
        let balanced =
            balanced.map(|vector| along(&vector, "balanced edits").map(|found| (vector, found))).transpose()?;
        let shown = settings.examples.min(without.size()[0]);
        let examples = (data.images.gather(&without.narrow(0, 0, shown), &noise), codes.narrow(0, 0, shown));
        let (learnt_from, held_out) = (learning.counts(), data.split);
        Ok(Finding {
            name: name.to_owned(),
            strength: settings.strength,
            learnt_from,
            held_out,
            judge,
            accuracy,
            on_reconstructions,
            plain,
            balanced,
            vector,
            examples,
        })
    }

    /// The test split is held out where it knows the attribute; else a part of the training split.
    fn divide(&self, attribute: &Attribute) -> Result<Division<'_>> {
        let (run, Settings { images, edited, seed, .. }) = (self.run, self.settings);
        let train = &run.data.train;
        let all = |attribute: &Attribute| Groups::of(&attribute.has, 2, None, run.device);
        let test = run.data.test.as_ref();
        let tested = test.and_then(|test| Some((test, Attribute::named(test, &attribute.name).ok()?)));
        let (learning, data, held_out) = if let Some((test, attribute_of_test)) = &tested {
            (all(attribute), *test, all(attribute_of_test))
        } else {
            let (held_out, learning) = all(attribute).split(HELD_OUT, *seed)?;
            (learning, train, held_out)
        };
        for (groups, what) in [(&learning, "to learn from"), (&held_out, "held out")] {
            if let &[without, with] = groups.counts().as_slice()
                && without.min(with) < FEWEST
            {
                let name = &attribute.name;
                return refuse(
                    "--attributes",
                    format!(
                        "{name}: expected {FEWEST} pictures {what} with it and without it, got {with} and {without}"
                    ),
                );
            }
        }
        let (learning, held_out) = (learning.at_most(images / 2, *seed)?, held_out.at_most(*edited, *seed)?);
        Ok(Division { learning, data, held_out })
    }

    /// Codes that stand for the images at `rows`.
    fn codes(&self, data: &Dataset, rows: &Tensor, noise: &Generator, mut stage: Stage<'_>) -> Result<Tensor> {
        let mut progress = |done, total| stage.progress(done, total);
        let codes = encode_watched(&self.run.vae, &data.images, Some(rows), self.settings.batch, noise, &mut progress)?;
        Ok(codes.representatives().shallow_clone())
    }

    fn reconstructions(&self, data: &Dataset, rows: &Tensor, noise: &Generator) -> Tensor {
        let vae = &self.run.vae;
        let codes = elbo_evaluation::encode::encode(vae, &data.images, Some(rows), rows.size()[0], noise);
        vae.decode_mean(codes.representatives()).clamp(0.0, 1.0)
    }

    fn stage(&self, name: &str, what: &str) -> Stage<'_> {
        self.watch.stage(&format!("{name}: {what}"))
    }
}

impl Finding {
    /// Cosine between the two vectors, where there are two.
    pub fn cosine(&self) -> Option<f64> {
        let (balanced, _) = self.balanced.as_ref()?;
        let wide = |t: &Tensor| t.to_kind(Kind::Double);
        let (a, b) = (wide(&self.vector), wide(balanced));
        Some((&a * &b).sum(None).double_value(&[]) / (a.norm().double_value(&[]) * b.norm().double_value(&[])))
    }
}
