//! `train` as one of several processes.

use super::{EXIT_INTERRUPTED, TrainArguments, run_to_end};
use crate::signals::Interruption;
use crate::{Follower, Method, RankLost, Run, World};
use anyhow::Result;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// A signal reaches the ranks at different steps: every so many steps they agree whether to stop.
const AGREE_EVERY: u64 = 10;

/// Runs alone, or as the rank that the environment says.
pub(super) fn run<M: Method>(arguments: &TrainArguments) -> Result<ExitCode> {
    elbo_native::initialise();
    let interruption = Interruption::watch()?;
    let mut say = |text: &str| {
        if !arguments.quiet {
            eprintln!("{text}");
        }
    };
    let Some(world) = World::from_environment(Duration::from_secs(arguments.rank_timeout), &mut say)? else {
        return run_to_end::<M>(arguments, &interruption, None);
    };
    let world = Arc::new(world);
    let result = if world.leads() {
        run_to_end::<M>(arguments, &interruption, Some(&world))
    } else {
        follow::<M>(&world, &interruption)
    };
    result.map_err(|error| {
        let error = world.explain(error);
        world.say_farewell(&error);
        error
    })
}

fn follow<M: Method>(world: &Arc<World>, interruption: &Interruption) -> Result<ExitCode> {
    let mut follower = Follower::open::<M>(Arc::clone(world), &mut |_| {})?;
    let mut interrupted = false;
    while !interrupted && follower.advance()? {
        interrupted = asked_to_stop(Some(world), interruption, follower.step(), follower.steps())?;
    }
    world.ranks().meet()?;
    Ok(ExitCode::from(if interrupted { EXIT_INTERRUPTED } else { 0 }))
}

/// Whether a signal ends the run after `step`, which is not the last; the same answer on every rank.
pub(super) fn asked_to_stop(world: Option<&World>, interruption: &Interruption, step: u64, steps: u64) -> Result<bool> {
    match world {
        _ if step >= steps => Ok(false),
        None => Ok(interruption.seen()),
        Some(world) => Ok(step.is_multiple_of(AGREE_EVERY) && world.any(interruption.seen())?),
    }
}

/// Where a rank is lost: from where the run can go on.
pub(super) fn with_checkpoint<M: Method>(error: anyhow::Error, run: &Run<M>, world: Option<&World>) -> anyhow::Error {
    let Some(world) = world else { return error };
    let error = world.explain(error);
    let Some(RankLost(line)) = error.downcast_ref() else { return error };
    let saved = match run.newest_checkpoint() {
        Ok(Some(file)) => format!("--resume goes on from {}", file.display()),
        _ => "no checkpoint has been written yet".to_owned(),
    };
    RankLost(format!("{line}; after step {}; {saved}", run.step())).into()
}
