//! All scores by name, at the sizes of their protocols: what `evaluate`, `score` and training have in common.

use super::beta_vae::BetaVae;
use super::dci::Dci;
use super::{
    Score, Table, active_units, beta_vae, dci, explicitness, factor_vae, gaussian_total_correlation, irs, mig_chen,
    mig_histogram, modularity, sap, sap_continuous, seed_of,
};
use crate::exact::{Progress, Samples};
use elbo_core::Gaussian;
use elbo_data::Factors;
use serde::Serialize;
use tch::Tensor;

elbo_core::choices! {
    /// A score, by the name of its protocol.
    pub enum ScoreName {
        /// [`super::mig_chen()`]
        MigChen = "mig_chen",
        /// [`super::mig_histogram()`]
        MigHistogram = "mig_histogram",
        /// [`super::factor_vae()`]
        FactorVae = "factor_vae",
        /// [`super::beta_vae()`]
        BetaVae = "beta_vae",
        /// [`super::sap()`]
        Sap = "sap",
        /// [`super::sap_continuous()`]
        SapContinuous = "sap_continuous",
        /// [`super::dci()`]
        Dci = "dci",
        /// [`super::modularity()`]
        Modularity = "modularity",
        /// [`super::explicitness()`]
        Explicitness = "explicitness",
        /// [`super::irs()`]
        Irs = "irs",
        /// [`super::gaussian_total_correlation()`]
        GaussianTotalCorrelation = "gaussian_total_correlation",
        /// [`super::active_units()`]
        ActiveUnits = "active_units",
    }
}

/// Sizes of the protocols. The defaults are the published ones (Locatello et al. 2019, App. C; Kim & Mnih 2018).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Protocol {
    /// Images for scores that learn nothing.
    pub points: usize,
    /// Images to learn from.
    pub train: usize,
    /// Images to judge by.
    pub test: usize,
    /// The `FactorVAE` score's sizes.
    pub votes: factor_vae::Settings,
    /// The β-VAE score's sizes.
    pub pairs: BetaVae,
    /// Resamples for the intervals; 0 for none.
    pub resamples: usize,
    /// Resamples where each one trains anew; 0 for none.
    pub refits: usize,
    /// One seed for all that is drawn.
    pub seed: u64,
}

impl Default for Protocol {
    fn default() -> Self {
        let votes = factor_vae::Settings::default();
        let pairs = BetaVae::default();
        Self { points: 10_000, train: 10_000, test: 5_000, votes, pairs, resamples: 200, refits: 5, seed: 0 }
    }
}

/// What is scored.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Codes and factors of all images.
    pub table: &'a Table,
    /// Posterior means of the same images: what [`ScoreName::ActiveUnits`] looks at.
    pub means: Option<&'a Table>,
    /// Densities of the same images, for [`ScoreName::MigChen`].
    pub encoded: Option<Encoded<'a>>,
}

/// Gaussian encodings of the images, and samples of them.
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'a> {
    /// `[N, D]`.
    pub encodings: &'a Gaussian,
    /// Of the same N images.
    pub factors: &'a Factors,
    /// Samples of q(z).
    pub samples: &'a Samples,
    /// `log q(z_d)` of the samples, `[S, D]`, where it is known already.
    pub marginals: Option<&'a Tensor>,
}

/// A score, or the three that DCI is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// One score.
    Single(Score),
    /// Disentanglement, completeness and informativeness.
    Dci(Dci),
}

impl Outcome {
    /// Names and values: `name`, or `name/part` for each part.
    pub fn entries(&self, name: ScoreName) -> Vec<(String, Score)> {
        match self {
            Self::Single(score) => vec![(name.name().to_owned(), *score)],
            Self::Dci(Dci { disentanglement, completeness, informativeness }) => [
                ("disentanglement", disentanglement),
                ("completeness", completeness),
                ("informativeness", informativeness),
            ]
            .map(|(part, score)| (format!("{name}/{part}"), *score))
            .into(),
        }
    }
}

/// The factor that MIG leaves out, as Chen et al. do on dSprites: its levels have no order.
pub const LEFT_OUT: &str = "shape";

impl ScoreName {
    /// The score of `subject`; `None` where it needs what is not there (densities, means).
    ///
    /// # Errors
    /// `progress`'s own.
    pub fn compute(
        self,
        subject: &Subject<'_>,
        protocol: &Protocol,
        progress: &mut Progress<'_>,
    ) -> anyhow::Result<Option<Outcome>> {
        let Protocol { resamples, .. } = *protocol;
        progress(0, 1)?;
        // By name, so that a score is the same whichever others are asked for.
        let seed = self.name().bytes().fold(protocol.seed, |seed, byte| seed_of(seed, u64::from(byte)));
        let points = || subject.table.sample(protocol.points, seed_of(seed, 0));
        let split = || subject.table.split(protocol.train, protocol.test, seed_of(seed, 0));
        let score = match self {
            Self::MigChen => match subject.encoded {
                None => return Ok(None),
                Some(encoded) => {
                    let left_out: Vec<usize> = if encoded.factors.names.len() > 1 {
                        let names = encoded.factors.names.iter().enumerate();
                        names.filter(|(_, name)| *name == LEFT_OUT).map(|(k, _)| k).collect()
                    } else {
                        Vec::new()
                    };
                    let samples = (encoded.samples, encoded.marginals);
                    let (encodings, factors) = (encoded.encodings, encoded.factors);
                    mig_chen(encodings, factors, &left_out, samples, (resamples, seed), progress)?.score
                }
            },
            Self::MigHistogram => mig_histogram(&points(), resamples, seed),
            Self::FactorVae => factor_vae(subject.table, &protocol.votes, resamples, seed),
            Self::BetaVae => beta_vae(subject.table, &protocol.pairs, resamples, seed),
            Self::Sap => {
                let (train, test) = split();
                sap(&train, &test, resamples, seed)
            }
            Self::SapContinuous => sap_continuous(&points(), resamples, seed),
            Self::Dci => {
                let (train, test) = split();
                let outcome = Outcome::Dci(dci(&train, &test, protocol.refits, seed));
                progress(1, 1)?;
                return Ok(Some(outcome));
            }
            Self::Explicitness => {
                let (train, test) = split();
                explicitness(&train, &test, resamples, seed)
            }
            Self::Modularity => modularity(&points(), resamples, seed),
            Self::Irs => irs(&points(), resamples, seed),
            Self::GaussianTotalCorrelation => gaussian_total_correlation(&points(), resamples, seed),
            Self::ActiveUnits => match subject.means {
                None => return Ok(None),
                Some(means) => active_units(&means.sample(protocol.points, seed_of(seed, 0)), resamples, seed),
            },
        };
        progress(1, 1)?;
        Ok(Some(Outcome::Single(score)))
    }
}
