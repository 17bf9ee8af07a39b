//! The training step as one CUDA graph: recorded after some steps, and from then on one call.
//!
//! The steps before the recording are steps of the run like any other; the recording itself computes nothing. What the host counts, and what
//! it does between steps (a new order at the end of an epoch, log points, evaluations), stays outside.

use anyhow::{Result, anyhow};
use elbo_native::recorder::record;
use elbo_native::{Generator, Graph, Stream};
use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;

/// Steps that run one by one before one is recorded: at the first of them libraries choose kernels and workspaces, and the tensors of the
/// optimisers and of the window come into being.
const WARM_UP: u32 = 3;

/// What a step does on the device.
pub(crate) trait Work {
    /// Does it, or has it recorded.
    fn run(&mut self) -> Result<()>;
    /// What it draws from.
    fn noise(&self) -> &Generator;
}

/// Where steps are recorded and replayed.
pub(crate) trait Recorder {
    /// Runs the work where it will be recorded.
    fn run(&mut self, work: &mut dyn Work) -> Result<()>;
    /// Records the work, which computes nothing meanwhile. Returns how many nodes it has.
    fn record(&mut self, work: &mut dyn Work) -> Result<usize>;
    /// Does once more what was recorded.
    fn replay(&mut self) -> Result<()>;
}

/// How a run takes its steps.
pub(crate) enum Stepping {
    /// One operator after the other.
    OneByOne,
    /// As that, where they will be recorded; so many steps were taken.
    WarmingUp(Box<dyn Recorder>, u32),
    /// Recorded.
    Captured(Box<dyn Recorder>),
}

/// What became of a step.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was taken as those before.
    Taken,
    /// It was taken; from now on steps are replays of a graph of so many nodes.
    Captured(usize),
    /// It was taken; no later one can be recorded, for this reason.
    Unfit(String),
    /// It was **not** taken: its recording failed, for this reason, and left the generator in the middle of it. Later ones go one by one.
    Failed(anyhow::Error),
}

impl Stepping {
    /// Steps that are recorded once they are warm.
    pub(crate) fn recorded_by(recorder: impl Recorder + 'static) -> Self {
        Self::WarmingUp(Box::new(recorder), 0)
    }

    /// Whether the next step is the one to record.
    pub(crate) fn records_next(&self) -> bool {
        matches!(self, Self::WarmingUp(_, WARM_UP))
    }

    /// Takes one step, unless it says otherwise.
    pub(crate) fn step(&mut self, work: &mut dyn Work) -> Result<Outcome> {
        match std::mem::replace(self, Self::OneByOne) {
            Self::OneByOne => work.run()?,
            Self::Captured(mut recorder) => {
                recorder.replay()?;
                *self = Self::Captured(recorder);
            }
            Self::WarmingUp(mut recorder, steps) if steps + 1 < WARM_UP => {
                recorder.run(work)?;
                *self = Self::WarmingUp(recorder, steps + 1);
            }
            Self::WarmingUp(mut recorder, steps) if steps < WARM_UP => {
                // The last of them is looked at: a recording that fails says less, and leaves more behind.
                let (result, operators) = record(|| recorder.run(work))?;
                result?;
                if let Some(operator) = operators.iter().find(|operator| operator.synchronises()) {
                    return Ok(Outcome::Unfit(format!("{} makes the host wait for the device", operator.name)));
                }
                *self = Self::WarmingUp(recorder, steps + 1);
            }
            Self::WarmingUp(mut recorder, _) => match recorder.record(work) {
                Ok(nodes) => {
                    recorder.replay()?;
                    *self = Self::Captured(recorder);
                    return Ok(Outcome::Captured(nodes));
                }
                Err(reason) => return Ok(Outcome::Failed(reason)),
            },
        }
        Ok(Outcome::Taken)
    }
}

/// Records on a CUDA device, in a stream of its own.
pub(crate) struct Cuda {
    stream: Rc<Stream>,
    graph: Option<Graph>,
}

impl Drop for Cuda {
    fn drop(&mut self) {
        // A graph must not go while a replay of it is under way. What failed on the device was said where it was read.
        let _ = self.stream.wait();
    }
}

impl Cuda {
    pub(crate) fn new(stream: Rc<Stream>) -> Self {
        Self { stream, graph: None }
    }
}

impl Recorder for Cuda {
    fn run(&mut self, work: &mut dyn Work) -> Result<()> {
        self.stream.run(|| work.run())?
    }

    fn record(&mut self, work: &mut dyn Work) -> Result<usize> {
        self.stream.wait()?;
        let graph = Graph::new(&self.stream, &[work.noise()])?;
        // tch's plain operators panic where libtorch refuses one. The operators are listed to name that one: the last that began.
        let attempt = || record(|| quietly(|| work.run()));
        match graph.record(&self.stream, attempt) {
            Ok(Ok((Ok(()), _))) => {}
            Ok(Ok((Err(error), operators))) => {
                let at = operators.last().map_or("its first operator", |operator| operator.name.as_str());
                return Err(error.context(format!("it fails at {at}")));
            }
            Ok(Err(error)) | Err(error) => return Err(error.into()),
        }
        let nodes = graph.nodes()?;
        self.graph = Some(graph);
        Ok(nodes)
    }

    fn replay(&mut self) -> Result<()> {
        let graph = self.graph.as_ref().ok_or_else(|| anyhow!("nothing was recorded"))?;
        Ok(graph.replay(&self.stream)?)
    }
}

/// Runs `work`; a panic becomes an error, and nothing is printed.
fn quietly(work: impl FnOnce() -> Result<()>) -> Result<()> {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    panic::set_hook(usual);
    result.unwrap_or_else(|payload| Err(anyhow!("{}", first_line(payload.as_ref()))))
}

fn first_line(payload: &(dyn Any + Send)) -> &str {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    let text = owned.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without words");
    text.split("\\n").next().and_then(|text| text.lines().next()).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use tch::{Device, Kind, Tensor};

    type Log = Rc<RefCell<Vec<&'static str>>>;

    struct Logged {
        log: Log,
        noise: Generator,
        waits: bool,
    }

    impl Work for Logged {
        fn run(&mut self) -> Result<()> {
            self.log.borrow_mut().push("work");
            let drawn = self.noise.normal(&[2], Kind::Float);
            if self.waits {
                let _ = drawn.sum(None::<Kind>).double_value(&[]);
            }
            Ok(())
        }

        fn noise(&self) -> &Generator {
            &self.noise
        }
    }

    struct Told {
        log: Log,
        fails: bool,
    }

    impl Recorder for Told {
        fn run(&mut self, work: &mut dyn Work) -> Result<()> {
            self.log.borrow_mut().push("aside");
            work.run()
        }

        fn record(&mut self, _: &mut dyn Work) -> Result<usize> {
            self.log.borrow_mut().push("record");
            if self.fails { Err(anyhow!("no")) } else { Ok(7) }
        }

        fn replay(&mut self) -> Result<()> {
            self.log.borrow_mut().push("replay");
            Ok(())
        }
    }

    fn setting(waits: bool, fails: bool) -> (Log, Logged, Stepping) {
        elbo_native::testing::single_thread();
        let log = Log::default();
        let noise = Generator::new(Device::Cpu, 1).expect("a generator");
        (Rc::clone(&log), Logged { log: Rc::clone(&log), noise, waits }, Stepping::recorded_by(Told { log, fails }))
    }

    #[test]
    fn three_steps_warm_up_and_every_later_one_is_a_replay() {
        let (log, mut work, mut stepping) = setting(false, false);
        let outcomes: Vec<Outcome> = (0..6).map(|_| stepping.step(&mut work).expect("a step")).collect();
        assert!(matches!(
            outcomes[..],
            [Outcome::Taken, Outcome::Taken, Outcome::Taken, Outcome::Captured(7), Outcome::Taken, Outcome::Taken]
        ));
        let expected = ["aside", "work", "aside", "work", "aside", "work", "record", "replay", "replay", "replay"];
        assert_eq!(*log.borrow(), expected);
    }

    #[test]
    fn a_step_that_waits_is_never_recorded() {
        let (log, mut work, mut stepping) = setting(true, false);
        let outcomes: Vec<Outcome> = (0..5).map(|_| stepping.step(&mut work).expect("a step")).collect();
        let Outcome::Unfit(reason) = &outcomes[2] else { panic!("{:?}", outcomes[2]) };
        assert_eq!(reason, "aten::item makes the host wait for the device");
        assert!(matches!(outcomes[3..], [Outcome::Taken, Outcome::Taken]));
        assert_eq!(*log.borrow(), ["aside", "work", "aside", "work", "aside", "work", "work", "work"]);
    }

    #[test]
    fn a_recording_that_fails_takes_no_step_and_later_ones_go_one_by_one() {
        let (log, mut work, mut stepping) = setting(false, true);
        let outcomes: Vec<Outcome> = (0..5).map(|_| stepping.step(&mut work).expect("a step")).collect();
        assert!(matches!(&outcomes[3], Outcome::Failed(reason) if reason.to_string() == "no"));
        assert!(matches!(outcomes[4], Outcome::Taken));
        assert_eq!(*log.borrow(), ["aside", "work", "aside", "work", "aside", "work", "record", "work"]);
    }

    #[test]
    fn a_panic_of_an_operator_becomes_its_first_line() {
        let tensor = |size: i64| Tensor::zeros([size], (Kind::Float, Device::Cpu));
        let error = quietly(|| {
            let _ = tensor(2) + tensor(3);
            Ok(())
        });
        let line = error.expect_err("sizes that do not fit").to_string();
        assert!(line.contains("size of tensor") && !line.contains('\n') && !line.contains("frame #"), "{line}");
    }
}
