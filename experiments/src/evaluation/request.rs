//! What is asked of a likelihood, and which scores, as typed.

use elbo_evaluation::scores::ScoreName;
use std::fmt;
use std::str::FromStr;

elbo_core::choices! {
    /// The code that stands for an image.
    pub enum Latent {
        /// The mean of q(z|x).
        Mean = "mean",
        /// One sample of it.
        Sample = "sample",
    }
}

/// An estimate of the likelihood: `elbo`, `iwae:K`, `ais:TEMPERATURES:CHAINS`, `bdmc:TEMPERATURES:CHAINS`, `gaps`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likelihood {
    /// The evidence lower bound and its parts.
    Elbo,
    /// The bound of K importance samples.
    Iwae {
        /// K.
        samples: i64,
    },
    /// Annealed importance sampling.
    Ais {
        /// Steps from q(z|x) to p(x, z).
        temperatures: usize,
        /// Chains for each image.
        chains: i64,
    },
    /// Annealing both ways on data drawn from the model.
    Bdmc {
        /// Steps from q(z|x) to p(x, z).
        temperatures: usize,
        /// Chains for each image.
        chains: i64,
    },
    /// Approximation gap and amortisation gap, measured from the log-likelihood of AIS or else IWAE.
    Gaps,
}

impl FromStr for Likelihood {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || {
            format!(
                "expected elbo, iwae:K, ais:TEMPERATURES:CHAINS, bdmc:TEMPERATURES:CHAINS or gaps, each number ≥ 1, got \"{text}\""
            )
        };
        let mut words = text.split(':');
        let name = words.next().unwrap_or_default();
        let numbers = words
            .map(|word| word.parse::<u32>().ok().filter(|number| *number >= 1))
            .collect::<Option<Vec<u32>>>()
            .ok_or_else(refuse)?;
        match (name, numbers.as_slice()) {
            ("elbo", []) => Ok(Self::Elbo),
            ("gaps", []) => Ok(Self::Gaps),
            ("iwae", &[samples]) => Ok(Self::Iwae { samples: samples.into() }),
            ("ais", &[temperatures, chains]) => {
                Ok(Self::Ais { temperatures: temperatures as usize, chains: chains.into() })
            }
            ("bdmc", &[temperatures, chains]) => {
                Ok(Self::Bdmc { temperatures: temperatures as usize, chains: chains.into() })
            }
            _ => Err(refuse()),
        }
    }
}

impl fmt::Display for Likelihood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elbo => f.write_str("elbo"),
            Self::Gaps => f.write_str("gaps"),
            Self::Iwae { samples } => write!(f, "iwae:{samples}"),
            Self::Ais { temperatures, chains } => write!(f, "ais:{temperatures}:{chains}"),
            Self::Bdmc { temperatures, chains } => write!(f, "bdmc:{temperatures}:{chains}"),
        }
    }
}

/// A list of scores, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scores(pub Vec<ScoreName>);

impl Scores {
    /// Every score.
    pub fn all() -> Self {
        Self(ScoreName::ALL.to_vec())
    }
}

impl FromStr for Scores {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::all());
        }
        let mut names = Vec::new();
        for word in text.split(',') {
            let name = word.trim().parse::<ScoreName>().map_err(|error| format!("{error}; or all"))?;
            if names.contains(&name) {
                return Err(format!("expected each score once, got {name} twice"));
            }
            names.push(name);
        }
        Ok(Self(names))
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|name| name.name()).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::{Likelihood, Scores};

    #[test]
    fn requests_are_read_as_the_help_says() {
        assert_eq!("elbo".parse(), Ok(Likelihood::Elbo));
        assert_eq!("iwae:5000".parse(), Ok(Likelihood::Iwae { samples: 5000 }));
        assert_eq!("ais:1000:16".parse(), Ok(Likelihood::Ais { temperatures: 1000, chains: 16 }));
        assert_eq!("gaps".parse::<Likelihood>().unwrap().to_string(), "gaps");
        for text in ["", "iwae", "iwae:0", "iwae:5:5", "ais:1000", "ais:a:b", "elbo:1", "iwae:-1", "iwae:99999999999"] {
            assert!(text.parse::<Likelihood>().unwrap_err().starts_with("expected elbo, iwae:K, "), "{text}");
        }
        assert_eq!("mig_histogram, modularity".parse::<Scores>().unwrap().to_string(), "mig_histogram,modularity");
        assert_eq!("all".parse::<Scores>(), Ok(Scores::all()));
        assert!("mig".parse::<Scores>().unwrap_err().starts_with("expected one of mig_chen, mig_histogram, "));
        assert!("mig_chen,mig_chen".parse::<Scores>().unwrap_err().contains("twice"));
    }
}
