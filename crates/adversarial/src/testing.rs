//! The routing test: which cost trains whom, seen from outside.

use crate::{Costs, Game, Mode};
use elbo_core::{BatchContext, Generator, Player};
use tch::{Device, Kind, Tensor};

/// The batch that a game is tested on.
#[derive(Debug)]
pub struct Batch {
    /// `[B, C, H, W]`.
    pub x: Tensor,
    /// Size of the training set that it stands for.
    pub dataset_len: i64,
    /// Seed of all noise.
    pub seed: u64,
}

/// Holds a game to its table of [`Route`](crate::Route)s, over `updates` updates.
///
/// Before the first update and after each, with the same noise every time: scaling a cost changes the gradients of the players that it is
/// routed to, and leaves every other player's bit for bit; and one player's step changes its own parameters and nobody else's. The noise is
/// drawn on the CPU.
///
/// # Errors
/// A line that names the cost and the player.
pub fn check_routing(game: &mut dyn Game, batch: &Batch, updates: usize) -> Result<(), String> {
    for update in 0..=updates {
        let told = |problem: String| format!("after {update} updates: {problem}");
        check_gradients(game, batch).map_err(told)?;
        check_steps(game, batch).map_err(told)?;
        let (noise, step) = (generator(batch.seed + 1 + update as u64), Tensor::from(update as i64));
        let context = BatchContext { step: &step, dataset_len: batch.dataset_len, noise: &noise };
        game.train_step(&batch.x, &context).map_err(|error| told(format!("{error:#}")))?;
    }
    Ok(())
}

fn check_gradients(game: &dyn Game, batch: &Batch) -> Result<(), String> {
    let players: Vec<&str> = game.players().iter().map(|(name, _)| *name).collect();
    let routes = game.routes();
    let names = costs(game, batch)?.names();
    for route in &routes {
        let known = names.contains(&route.cost) && players.contains(&route.player);
        if !known {
            return Err(format!("the route from {} to {} names nothing that is there", route.cost, route.player));
        }
    }
    let base = gradients(game, batch, None)?;
    if !same(&base, &gradients(game, batch, None)?) {
        return Err("the same noise gives other gradients, so nothing can be compared".to_owned());
    }
    for cost in names {
        let scaled = gradients(game, batch, Some(cost))?;
        for (index, player) in players.iter().enumerate() {
            let routed = routes.iter().any(|route| route.cost == cost && route.player == *player);
            let moved = !same(&base[index..=index], &scaled[index..=index]);
            if routed && !moved {
                return Err(format!("the cost '{cost}' does not train {player}, and should"));
            }
            if moved && !routed {
                return Err(format!("the cost '{cost}' trains {player}, and should not"));
            }
        }
    }
    Ok(())
}

fn check_steps(game: &mut dyn Game, batch: &Batch) -> Result<(), String> {
    let players: Vec<&str> = game.players().iter().map(|(name, _)| *name).collect();
    let gradients = gradients(game, batch, None)?;
    let step = Tensor::from(0_i64);
    for (moving, gradients) in gradients.into_iter().enumerate() {
        let before = parameters(game);
        let mut all = game.players_mut();
        all[moving].step(gradients, &step, None).map_err(|error| format!("{error:#}"))?;
        let after = parameters(game);
        for (index, player) in players.iter().enumerate() {
            let moved = before[index] != after[index];
            if moved != (index == moving) {
                let verb = if moved { "changes" } else { "does not change" };
                return Err(format!("a step of {} {verb} the parameters of {player}", players[moving]));
            }
        }
    }
    Ok(())
}

fn costs(game: &dyn Game, batch: &Batch) -> Result<Costs, String> {
    let (noise, step) = (generator(batch.seed), Tensor::from(0_i64));
    let context = BatchContext { step: &step, dataset_len: batch.dataset_len, noise: &noise };
    Ok(game.costs(&batch.x, &context, Mode::Training).map_err(|error| format!("{error:#}"))?.0)
}

/// Every player's gradients, with one cost scaled.
fn gradients(game: &dyn Game, batch: &Batch, scaled: Option<&str>) -> Result<Vec<Vec<Tensor>>, String> {
    let costs = costs(game, batch)?;
    let costs = match scaled {
        Some(cost) => costs.scaled(cost, 3.0),
        None => costs,
    };
    game.gradients(&costs).map_err(|error| format!("{error:#}"))
}

fn same(one: &[Vec<Tensor>], other: &[Vec<Tensor>]) -> bool {
    one.iter().flatten().zip(other.iter().flatten()).all(|(one, other)| one.equal(other))
}

fn parameters(game: &dyn Game) -> Vec<Vec<Vec<f64>>> {
    let numbers = |tensor: &Tensor| {
        Vec::<f64>::try_from(tensor.detach().to_kind(Kind::Double).reshape([-1])).expect("numbers of a parameter")
    };
    let of = |player: &Player| player.parameters().iter().map(|(_, parameter)| numbers(parameter)).collect();
    game.players().iter().map(|(_, player)| of(player)).collect()
}

fn generator(seed: u64) -> Generator {
    Generator::new(Device::Cpu, seed).expect("a CPU generator")
}
