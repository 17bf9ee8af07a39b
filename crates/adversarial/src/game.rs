//! Several players, several costs, and the table of which cost trains whom.

use elbo_core::player::non_finite;
use elbo_core::{
    Algorithm, BatchContext, FieldError, ForwardPass, Generator, Knowledge, OptimizerConfig, Player, Scalars, Vae,
};
use tch::{Device, Tensor};

/// The costs of one batch by name: scalars in nats, each with its graph.
#[derive(Debug, Default)]
pub struct Costs {
    entries: Vec<(&'static str, Tensor)>,
}

/// One line of a game's table: `player` is trained by `cost`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Name of a cost in [`Costs`].
    pub cost: &'static str,
    /// Name of a player in [`Game::players`].
    pub player: &'static str,
}

/// Whether a pass belongs to a training step (batch normalisation by the batch) or to an evaluation (by what was remembered).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A training step.
    Training,
    /// An evaluation.
    Evaluation,
}

/// An algorithm of several players.
///
/// Between [`Game::costs`], which draws the noise and builds the graphs, and [`Game::gradients`], which takes each player's gradient of its own
/// costs, the routing can be seen from outside: scaling one cost must change the gradients of the players that it is routed to and of no
/// others ([`check_routing`](crate::testing::check_routing)).
pub trait Game: Algorithm {
    /// The players with their names, always in the same order; the first is the model's.
    fn players(&self) -> Vec<(&'static str, &Player)>;

    /// The same players in the same order.
    fn players_mut(&mut self) -> Vec<&mut Player>;

    /// Which cost trains which player, as docs/mathematics.md has it.
    fn routes(&self) -> Vec<Route>;

    /// The costs of one batch, and what there is to report of them, `loss` first.
    ///
    /// # Errors
    /// When libtorch does.
    fn costs(&self, x: &Tensor, context: &BatchContext<'_>, mode: Mode) -> anyhow::Result<(Costs, Scalars)>;

    /// Each player's gradients, in the order of [`Game::players`].
    ///
    /// # Errors
    /// When a parameter gets no gradient.
    fn gradients(&self, costs: &Costs) -> anyhow::Result<Vec<Vec<Tensor>>>;

    /// For each player, a float32 scalar on the device that is 1 where it sits this step out.
    fn gates(&self, _costs: &Costs) -> Vec<Option<Tensor>> {
        self.players().iter().map(|_| None).collect()
    }
}

/// What a game is built from.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The model.
    pub vae: Vae,
    /// The configuration's `optimizer`, the model's.
    pub optimizer: &'a OptimizerConfig,
    /// Draws the initial parameters: a CPU generator, after it drew the model's.
    pub initialisation: &'a Generator,
    /// Where everything is.
    pub device: Device,
}

/// Refuses a model whose q(z|x) has no density, for methods whose cost contains it.
///
/// # Errors
/// `model.posterior`, and what it should be.
pub fn with_density(vae: &Vae) -> Result<(), FieldError> {
    if vae.knowledge() == Knowledge::Density {
        return Ok(());
    }
    let message = "expected none, for the method needs the density of q(z|x), which an implicit posterior has not";
    Err(FieldError::new("model.posterior", message))
}

impl Parts<'_> {
    /// The player of all parameters of the model.
    ///
    /// # Errors
    /// The field of `optimizer` that does not fit.
    pub fn model_player(&self) -> Result<Player, FieldError> {
        Player::new(self.vae.parameters(), self.optimizer).map_err(|error| error.under("optimizer"))
    }
}

impl Costs {
    /// No costs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a cost.
    pub fn with(mut self, name: &'static str, cost: Tensor) -> Self {
        assert_eq!(cost.dim(), 0, "cost '{name}' must be a scalar, got {:?}", cost.size());
        assert!(self.entries.iter().all(|(other, _)| *other != name), "cost '{name}' is given twice");
        self.entries.push((name, cost));
        self
    }

    /// The cost called `name`.
    pub fn get(&self, name: &str) -> &Tensor {
        let found = self.entries.iter().find(|(other, _)| *other == name);
        &found.unwrap_or_else(|| panic!("no cost is called '{name}'")).1
    }

    /// Names, in the order they were added.
    pub fn names(&self) -> Vec<&'static str> {
        self.entries.iter().map(|(name, _)| *name).collect()
    }

    /// The same costs, that called `name` times `factor`: for the routing test.
    pub fn scaled(mut self, name: &str, factor: f64) -> Self {
        for (other, cost) in &mut self.entries {
            if *other == name {
                *cost = &*cost * factor;
            }
        }
        self
    }

    /// The sum of all costs, without graph: finite exactly when each of them is (or two infinities meet, which makes NaN).
    fn total(&self) -> Tensor {
        let costs: Vec<Tensor> = self.entries.iter().map(|(_, cost)| cost.detach()).collect();
        Tensor::stack(&costs, 0).sum(None)
    }
}

/// The pass of a model in the given mode, with one sample per example.
pub fn forward(vae: &Vae, x: &Tensor, noise: &Generator, mode: Mode) -> ForwardPass {
    match mode {
        Mode::Training => vae.forward_training(x, noise, 1),
        Mode::Evaluation => vae.forward(x, noise, 1),
    }
}

/// One update of every player: all gradients first, then all steps.
///
/// Where a cost or a gradient of anybody is not finite, nobody moves and the step is flagged; a player's gate holds only that player. Adds
/// `gradient_norm` and `schedule/learning_rate` for the first player, `gradient_norm/<player>` and `schedule/learning_rate/<player>` for the
/// others.
///
/// # Errors
/// When a parameter gets no gradient, or libtorch fails.
pub fn play<G: Game + ?Sized>(
    game: &mut G,
    costs: &Costs,
    mut scalars: Scalars,
    step: &Tensor,
) -> anyhow::Result<Scalars> {
    let gradients = game.gradients(costs)?;
    let gates = game.gates(costs);
    let total = costs.total();
    let mut flag = total.zeros_like();
    let mut norms = Vec::new();
    for gradients in &gradients {
        let (bad, norm) = non_finite(&total, gradients)?;
        flag = flag.maximum(&bad.to_kind(flag.kind()));
        norms.push(norm);
    }
    for (index, (name, player)) in game.players().into_iter().enumerate() {
        let tag = |what: &str| if index == 0 { what.to_owned() } else { format!("{what}/{name}") };
        scalars.push(tag("gradient_norm"), &norms[index]);
        scalars.push(tag("schedule/learning_rate"), &player.learning_rate(step));
    }
    for ((player, gradients), gate) in game.players_mut().into_iter().zip(gradients).zip(gates) {
        let skip = gate.map_or_else(|| flag.shallow_clone(), |gate| flag.maximum(&gate.to_kind(flag.kind())));
        player.step(gradients, step, Some(&skip))?;
    }
    Ok(scalars.with_non_finite(&flag))
}
