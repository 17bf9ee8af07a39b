//! What holds for codes of any size and any values.

use crate::setting::{Codes, generator, number};
use elbo_core::posterior::standard_normal_log_density;
use elbo_objectives::Estimator;
use elbo_objectives::estimator::Densities;
use proptest::prelude::*;
use tch::Kind;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The terms add up to the sampled KL, and no row sees more information than its own weight allows: log q(z_i) is at least
    /// `log w_ii + log q(z_i|x_i)`, so that MI ≤ −log w_ii.
    #[test]
    fn terms_add_up_and_information_has_its_ceiling(
        batch in 2_i64..12,
        latent in 1_i64..6,
        surplus in 0_i64..1000,
        spread in 0.0_f64..100.0,
        log_width in -8.0_f64..2.0,
        seed in 0_u64..1_000_000,
    ) {
        let noise = generator(seed);
        let mean = noise.normal(&[batch, latent], Kind::Double) * spread;
        let log_var = noise.normal(&[batch, latent], Kind::Double) + 2.0 * log_width;
        let codes = Codes::sampled(mean, log_var, &noise);
        let dataset_len = batch + surplus;
        let sampled_kl = codes.gaussian().log_density(&codes.z) - standard_normal_log_density(&codes.z);
        let sampled_kl = number(&sampled_kl.mean(None));
        for estimator in Estimator::MINIBATCH {
            let terms = Densities::estimate(estimator, &codes.gaussian(), &codes.z, dataset_len).terms();
            let [mi, tc, dw_kl] = terms.named().map(|(_, value)| number(value));
            prop_assert!((mi + tc + dw_kl - sampled_kl).abs() < 1e-10 * (1.0 + sampled_kl.abs()));
            let (n, b) = (dataset_len as f64, batch as f64);
            let ceiling = match estimator {
                Estimator::Mws => n * b,
                Estimator::Uniform => b,
                Estimator::Mss | Estimator::Balanced | Estimator::Exact => n,
            };
            prop_assert!(mi <= ceiling.ln() + 1e-10, "{estimator}: {mi} nats, at most ln {ceiling}");
        }
    }
}
