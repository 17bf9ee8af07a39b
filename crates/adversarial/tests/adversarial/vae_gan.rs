//! VAE-GAN: who is trained by what, and who sits out.

use crate::support::{IMAGE, adam, batch, from, generator, numbers};
use elbo_adversarial::game::play;
use elbo_adversarial::testing::{Batch, check_routing};
use elbo_adversarial::vae_gan::{Discriminator, FeatureLayer, LAYERS, VaeGanGame};
use elbo_adversarial::{Costs, Game, Mode, Parts, Route, VaeGan};
use elbo_core::initialisation::{Initialisation, Initialiser};
use elbo_core::{Algorithm, BatchContext, Generator, ModelConfig, NamedTensors, OptimizerConfig, Player, Scalars, Vae};
use elbo_native::testing::single_thread;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

const WIDTH: f64 = 0.03;

pub(crate) fn config(changes: &Value) -> VaeGan {
    let mut config = json!({ "gamma": 0.2, "feature": { "layer": 4, "normalised": false }, "adversary_sees": "prior",
        "decoder_cost": "saturating", "discriminator_width": WIDTH,
        "decoder_optimizer": { "name": "rmsprop", "learning_rate": 1e-3 },
        "discriminator_optimizer": { "name": "rmsprop", "learning_rate": 1e-3 } });
    for (field, value) in changes.as_object().expect("an object") {
        config[field] = value.clone();
    }
    from(config)
}

pub(crate) fn model() -> ModelConfig {
    from(json!({ "network": "vae-gan", "latent": 3, "likelihood": "gaussian", "sigma": 1.0, "width": WIDTH }))
}

fn parts<'a>(optimizer: &'a OptimizerConfig, noise: &'a Generator) -> Parts<'a> {
    let vae = model().build(IMAGE, noise, Device::Cpu).expect("a model");
    Parts { vae, optimizer, initialisation: noise, device: Device::Cpu }
}

fn game(changes: &Value) -> VaeGanGame {
    let (adam, noise) = (adam(), generator(3));
    config(changes).build(parts(&adam, &noise)).expect("a game")
}

/// Every form of the method, before and after updates.
#[test]
fn every_cost_trains_those_that_the_mathematics_says() {
    single_thread();
    for changes in [
        json!({}),
        json!({ "adversary_sees": "prior+reconstruction" }),
        json!({ "decoder_cost": "non-saturating" }),
        json!({ "decoder_cost": "non-saturating", "adversary_sees": "prior+reconstruction" }),
        json!({ "feature": { "layer": 1, "normalised": true } }),
        json!({ "gamma": 0.0 }),
        json!({ "gamma": 1.0 }),
        json!({ "capacity": { "capacity_weight": 10.0, "start_capacity": 0.5, "max_capacity": 3.0, "ramp_steps": 10 } }),
    ] {
        check_routing(&mut game(&changes), &batch(6, 1), 2).unwrap_or_else(|problem| panic!("{changes}: {problem}"));
    }
}

/// Gradients that add up over backward passes, as in a published VAE-GAN.
#[derive(Debug)]
struct Accumulating {
    honest: VaeGanGame,
    leak: Leak,
}

#[derive(Debug, Clone, Copy)]
enum Leak {
    /// The decoder's backward pass is not cleared from the discriminator: γ `L_llike` − (1 − γ) C is added to C.
    DecoderHelpsDiscriminator,
    /// The encoder's is not: `L_llike` trains the discriminator to see no difference.
    FeaturesTrainDiscriminator,
}

impl Game for Accumulating {
    fn players(&self) -> Vec<(&'static str, &Player)> {
        self.honest.players()
    }

    fn players_mut(&mut self) -> Vec<&mut Player> {
        self.honest.players_mut()
    }

    fn routes(&self) -> Vec<Route> {
        self.honest.routes()
    }

    fn costs(&self, x: &Tensor, context: &BatchContext<'_>, mode: Mode) -> anyhow::Result<(Costs, Scalars)> {
        self.honest.costs(x, context, mode)
    }

    fn gradients(&self, costs: &Costs) -> anyhow::Result<Vec<Vec<Tensor>>> {
        let players: Vec<&NamedTensors> = self.players().into_iter().map(|(_, player)| player.parameters()).collect();
        let encoder = costs.get("prior") + costs.get("features");
        let decoder = costs.get("fooling") + costs.get("features") * 0.2;
        let discriminator = costs.get("data") + costs.get("prior_samples");
        let leaked = match self.leak {
            Leak::DecoderHelpsDiscriminator => &discriminator + costs.get("fooling"),
            Leak::FeaturesTrainDiscriminator => &discriminator + costs.get("features"),
        };
        Ok(vec![
            elbo_native::gradients_keeping_graph(&encoder, players[0])?,
            elbo_native::gradients_keeping_graph(&decoder, players[1])?,
            elbo_native::gradients(&leaked, players[2])?,
        ])
    }
}

impl Algorithm for Accumulating {
    fn train_step(&mut self, x: &Tensor, context: &BatchContext<'_>) -> anyhow::Result<Scalars> {
        let (costs, scalars) = self.costs(x, context, Mode::Training)?;
        play(self, &costs, scalars, context.step)
    }

    fn evaluate(&self, x: &Tensor, context: &BatchContext<'_>) -> anyhow::Result<Scalars> {
        self.honest.evaluate(x, context)
    }

    fn state(&self) -> NamedTensors {
        self.honest.state()
    }

    fn vae(&self) -> &Vae {
        self.honest.vae()
    }
}

#[test]
fn accumulated_gradients_are_caught() {
    single_thread();
    for (leak, cost) in [(Leak::DecoderHelpsDiscriminator, "fooling"), (Leak::FeaturesTrainDiscriminator, "features")] {
        let honest = game(&json!({ "decoder_cost": "non-saturating" }));
        let verdict = check_routing(&mut Accumulating { honest, leak }, &batch(6, 1), 1).expect_err("a leak");
        assert_eq!(verdict, format!("after 0 updates: the cost '{cost}' trains discriminator, and should not"));
    }
}

/// The costs by hand: from the discriminator's own word on data and on what the model makes, with the noise of the step drawn again.
#[test]
fn costs_are_what_the_discriminators_word_comes_to() {
    single_thread();
    let feature = FeatureLayer { layer: 3, normalised: true };
    let game = game(
        &json!({ "adversary_sees": "prior+reconstruction", "decoder_cost": "non-saturating", "feature": feature }),
    );
    let Batch { x, dataset_len, seed } = batch(6, 2);
    let step = Tensor::from(0_i64);
    let noise = generator(seed);
    let context = BatchContext { step: &step, dataset_len, noise: &noise };
    let (costs, scalars) = tch::no_grad(|| game.costs(&x, &context, Mode::Evaluation)).expect("costs");

    let again = generator(seed);
    let (made, pass) = tch::no_grad(|| {
        let pass = game.vae().forward(&x, &again, 1);
        let prior = game.vae().decode_mean(&again.normal(&[6, 3], Kind::Float));
        let made = [&x, &prior, &pass.decoded].map(|pictures| game.discriminator().judge(pictures, feature, false));
        (made, pass)
    });
    let [data, prior, reconstruction] = &made;
    let probability =
        |logits: &Tensor| numbers(logits).into_iter().map(|l| 1.0 / (1.0 + (-l).exp())).collect::<Vec<_>>();
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let minus_log = |logits: &Tensor, fake: bool| {
        mean(probability(logits).into_iter().map(|p| -(if fake { 1.0 - p } else { p }).ln()).collect())
    };
    let close = |name: &str, expected: f64| {
        let found = numbers(costs.get(name))[0];
        assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "{name}: {found} {expected}");
    };
    close("data", minus_log(&data.logits, false));
    close("prior_samples", minus_log(&prior.logits, true));
    close("reconstructions", minus_log(&reconstruction.logits, true));
    close("fooling", minus_log(&prior.logits, false) + minus_log(&reconstruction.logits, false));
    // −log N(a | b, I), pixel by pixel of the feature map.
    let (a, b) = (numbers(&data.features), numbers(&reconstruction.features));
    let squares: f64 =
        a.iter().zip(&b).map(|(a, b)| 0.5 * (a - b).powi(2) + 0.5 * (2.0 * std::f64::consts::PI).ln()).sum();
    close("features", squares / 6.0);
    close("prior", numbers(&pass.posterior.kl_to_prior().mean(None))[0]);
    let reported = numbers(scalars.get("feature_reconstruction").expect("reported"))[0];
    assert_eq!(reported, numbers(costs.get("features"))[0]);
}

/// Every layer can be asked for; before and after normalisation they differ, and the first, which has none, is its own positive part.
#[test]
fn every_layer_of_the_discriminator_has_features() {
    single_thread();
    let noise = generator(1);
    let initialiser = Initialiser::new(&noise, Device::Cpu, Initialisation::PyTorch);
    let discriminator = Discriminator::new(&initialiser, IMAGE, 0.125);
    let x = batch(5, 3).x;
    // 4, 16, 32, 32 channels of 8×8, 4×4, 2×2, 1×1, and 64 features.
    let sizes = [256, 256, 128, 32, 64];
    let mut logits = Vec::new();
    for layer in 1..=LAYERS {
        let [raw, normalised] =
            [false, true].map(|normalised| discriminator.judge(&x, FeatureLayer { layer, normalised }, false));
        assert_eq!(raw.features.size(), [5, sizes[layer - 1]], "layer {layer}");
        assert_eq!(normalised.features.size(), raw.features.size());
        assert!(raw.features.min().double_value(&[]) < 0.0 && normalised.features.min().double_value(&[]) >= 0.0);
        if layer == 1 {
            assert!(normalised.features.equal(&raw.features.relu()));
        }
        logits.push(numbers(&raw.logits));
    }
    assert!(logits.windows(2).all(|pair| pair[0] == pair[1]), "the word does not depend on the layer");
}

/// Parameters and optimiser tensors of a player, by name.
type Snapshot = Vec<(String, Vec<f64>)>;

/// What each player looked like after one step with a gate that stands like this (nothing if it stood still), and the gates.
fn after_one_step(equilibrium: &Value) -> (Vec<Snapshot>, [f64; 2]) {
    let mut game = game(&json!({ "equilibrium": equilibrium }));
    let snapshot = |game: &VaeGanGame| -> Vec<Snapshot> {
        let of = |player: &Player| {
            let mut all = player.parameters().iter().map(|(n, t)| (n.clone(), numbers(t))).collect::<Vec<_>>();
            all.extend(player.state().iter().map(|(n, t)| (n.clone(), numbers(t))));
            all
        };
        game.players().into_iter().map(|(_, player)| of(player)).collect()
    };
    let before = snapshot(&game);
    let Batch { x, dataset_len, seed } = batch(6, 2);
    let (noise, step) = (generator(seed), Tensor::from(0_i64));
    let scalars = game.train_step(&x, &BatchContext { step: &step, dataset_len, noise: &noise }).expect("a step");
    let after = snapshot(&game);
    let moved = before.into_iter().zip(after);
    let changed = moved.map(|(before, after)| if before == after { Vec::new() } else { after }).collect();
    let gate = |name: &str| numbers(scalars.get(name).expect(name))[0];
    (changed, [gate("gate/decoder"), gate("gate/discriminator")])
}

/// At the start every cost is near log 2 = 0.69. A target far above holds the discriminator, one far below the decoder; where a cost is both below
/// and above, which only a negative margin could make, and where it is neither, everybody plays. Parameters and optimiser, bit for bit.
#[test]
fn a_gate_holds_a_player_as_if_there_had_been_no_update() {
    single_thread();
    for (target, margin, gates, moves) in [
        (0.68, 0.35, [0.0, 0.0], [true, true, true]),
        (3.0, 0.35, [0.0, 1.0], [true, true, false]),
        (0.1, 0.05, [1.0, 0.0], [true, false, true]),
    ] {
        let (changed, found) = after_one_step(&json!({ "target": target, "margin": margin }));
        assert_eq!(found, gates, "target {target}");
        let moved: Vec<bool> = changed.iter().map(|player| !player.is_empty()).collect();
        assert_eq!(moved, moves, "target {target}");
    }
}

/// Costs made by hand, around 0.68 ± 0.35.
#[test]
fn the_gate_knows_the_four_cases() {
    single_thread();
    let equilibrium: elbo_adversarial::vae_gan::Equilibrium = from(json!({ "target": 0.68, "margin": 0.35 }));
    for (costs, decoder, discriminator) in [
        ([0.5, 0.9], 0.0, 0.0),
        ([0.32, 0.9], 0.0, 1.0),
        ([0.5, 1.04], 1.0, 0.0),
        // One cost too low and one too high: both would sit out, so both play.
        ([0.32, 1.04], 0.0, 0.0),
    ] {
        let costs = costs.map(|cost: f64| Tensor::from(cost));
        let gates = equilibrium.gates(&[&costs[0], &costs[1]]);
        assert_eq!(
            (numbers(&gates.decoder)[0], numbers(&gates.discriminator)[0]),
            (decoder, discriminator),
            "{costs:?}"
        );
    }
}

/// In the decoder's saturating cost the discriminator's word has the weight −(1 − γ), so at γ = 1 the features alone decide; the gradient is linear
/// in γ between.
#[test]
fn gamma_weighs_features_against_the_discriminators_word() {
    single_thread();
    let gradient = |gamma: f64| {
        let game = game(&json!({ "gamma": gamma }));
        let Batch { x, dataset_len, seed } = batch(6, 2);
        let (noise, step) = (generator(seed), Tensor::from(0_i64));
        let context = BatchContext { step: &step, dataset_len, noise: &noise };
        let (costs, _) = game.costs(&x, &context, Mode::Training).expect("costs");
        game.gradients(&costs).expect("gradients")[1].iter().flat_map(numbers).collect::<Vec<f64>>()
    };
    let [none, half, all] = [0.0, 0.5, 1.0].map(gradient);
    assert!(none.iter().zip(&all).any(|(none, all)| (none - all).abs() > 1e-3), "the two differ");
    let scale = all.iter().chain(&none).fold(0.0_f64, |most, value| most.max(value.abs()));
    for ((none, half), all) in none.iter().zip(&half).zip(&all) {
        assert!((half - 0.5 * (none + all)).abs() < 1e-5 * scale, "{none} {half} {all}");
    }
}

#[test]
fn what_does_not_fit_is_refused_by_its_field() {
    single_thread();
    let refusal = |changes: Value| {
        let (adam, noise) = (adam(), generator(3));
        config(&changes).build(parts(&adam, &noise)).expect_err("refused").to_string()
    };
    assert_eq!(refusal(json!({ "gamma": 2.0 })), "method.gamma: expected a number from 0 to 1, got 2");
    let layer = json!({ "feature": { "layer": 6, "normalised": false } });
    assert_eq!(refusal(layer), "method.feature.layer: expected a layer from 1 to 5, got 6");
    let optimizer = json!({ "decoder_optimizer": { "name": "adam", "learning_rate": 0.0 } });
    assert!(refusal(optimizer).starts_with("method.decoder_optimizer.learning_rate: "));
}
