//! Faults of processes: killed, told to stop, started twice, with a clock that goes back, without memory.

use super::{Bench, Chance, Verdict, all_whole, one_line, same, succeed};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const KILLS: usize = 100;
const SIGNALS: usize = 20;
const PAIRS: usize = 20;

fn start(command: &mut Command) -> Result<Child, String> {
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(|error| error.to_string())
}

fn signal(child: &Child, name: &str) -> Result<(), String> {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
    sent.ok().filter(std::process::ExitStatus::success).map(drop).ok_or_else(|| "kill failed".to_owned())
}

/// SIGKILL at random moments: every checkpoint that had its name is whole, no run goes back behind one, and the end is the undisturbed end.
pub(super) fn kill(bench: &Bench) -> Verdict {
    let config = bench.configuration("kill", 400);
    let expected = bench.undisturbed(&config, "kill-undisturbed")?;
    let (mut chance, mut kills, mut runs) = (Chance(1), 0, 0);
    while kills < KILLS {
        let run = bench.path(&format!("kill-{runs}"));
        let mut saved = 0;
        loop {
            let mut child = start(&mut bench.command(&config, &run))?;
            sleep(Duration::from_millis(150 + chance.below(700)));
            let over = child.try_wait().map_err(|error| error.to_string())?.is_some();
            let _ = child.kill();
            let output = child.wait_with_output().map_err(|error| error.to_string())?;
            if over {
                if !output.status.success() {
                    return Err(super::words(&output));
                }
                break;
            }
            kills += 1;
            let now = all_whole(&run)?;
            if now < saved {
                return Err(format!("{}: step {saved} was saved, and now {now} is the newest", run.display()));
            }
            saved = now;
        }
        same(&run, &expected)?;
        runs += 1;
    }
    Ok(format!("{kills} kills over {runs} runs; all end in the bits and curves of the undisturbed one"))
}

/// SIGTERM, as Slurm sends it before a job's time is over, and SIGINT: a checkpoint of that step, exit code 130, and the same end.
pub(super) fn terminate(bench: &Bench) -> Verdict {
    let config = bench.configuration("terminate", 2000);
    let expected = bench.undisturbed(&config, "terminate-undisturbed")?;
    let run = bench.path("terminate");
    let (mut chance, mut slowest, mut sent) = (Chance(2), Duration::ZERO, 0);
    while sent < SIGNALS {
        let mut child = start(&mut bench.command(&config, &run))?;
        // Not before the program listens.
        sleep(Duration::from_millis(600 + chance.below(150)));
        if child.try_wait().map_err(|error| error.to_string())?.is_some() {
            same(&run, &expected)?;
            fs::remove_dir_all(&run).map_err(|error| error.to_string())?;
            continue;
        }
        signal(&child, if sent % 2 == 0 { "-TERM" } else { "-INT" })?;
        let started = Instant::now();
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        slowest = slowest.max(started.elapsed());
        match output.status.code() {
            Some(130) => all_whole(&run).map(drop)?,
            // It was over before the signal came.
            Some(0) => {}
            _ => return Err(format!("expected exit code 130, got {}: {}", output.status, super::words(&output))),
        }
        sent += 1;
    }
    succeed(&mut bench.command(&config, &run))?;
    same(&run, &expected)?;
    Ok(format!("{sent} signals, each saved and over within {:.1} s; the same end", slowest.as_secs_f64()))
}

/// Two processes on one directory, started together: one works, the other says why it does not.
pub(super) fn two_processes(bench: &Bench) -> Verdict {
    let config = bench.configuration("two", 100);
    let expected = bench.undisturbed(&config, "two-undisturbed")?;
    let mut refused = 0;
    for pair in 0..PAIRS {
        let run = bench.path(&format!("two-{pair}"));
        let children = [(); 2].map(|()| start(&mut bench.command(&config, &run)));
        for child in children {
            let output = child?.wait_with_output().map_err(|error| error.to_string())?;
            // One that comes when the other is done finds nothing left to do.
            if !output.status.success() {
                let line = one_line(&output, 2)?;
                if !line.contains("is in use by another process") {
                    return Err(line);
                }
                refused += 1;
            }
        }
        same(&run, &expected)?;
    }
    if refused == 0 {
        return Err("no two processes ever met".to_owned());
    }
    Ok(format!("{PAIRS} pairs, {refused} refused in one line; every run is the undisturbed one"))
}

/// A clock that is a day behind when the run goes on.
pub(super) fn clock(bench: &Bench) -> Verdict {
    if Command::new("faketime").arg("--version").stdout(Stdio::null()).status().is_err() {
        return Err("not run: it needs the program faketime (Debian's package of that name)".to_owned());
    }
    let config = bench.configuration("clock", 120);
    let expected = bench.undisturbed(&config, "clock-undisturbed")?;
    let run = bench.path("clock");
    let half = ["--set", "train.steps=61"];
    succeed(bench.command(&config, &run).args(half))?;
    let later = bench.command(&config, &run);
    let mut back = Command::new("faketime");
    back.args(["-f", "-1d"]).arg(later.get_program()).args(later.get_args());
    back.envs(later.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
    succeed(&mut back)?;
    // The first part ended at a step of its own, with reports of its own: rows beyond it are what the second part wrote.
    let (found, wanted) = (super::end(&run)?, &expected);
    if found.tensors != wanted.tensors {
        return Err("the parameters are not those of the undisturbed run".to_owned());
    }
    let steps: Vec<u64> = found.curves.iter().map(|(step, _, _)| *step).collect();
    if !steps.is_sorted() {
        return Err("metrics.csv is out of order".to_owned());
    }
    Ok("resumed a day earlier: the same parameters, curves in order".to_owned())
}

/// A batch that cannot fit is refused before anything is written, and one whose memory runs out says so in one line.
pub(super) fn memory(bench: &Bench) -> Verdict {
    let config = bench.configuration("memory", 20);
    let run = bench.path("memory");
    let burgess = r#"model={"network":"burgess","latent":10,"likelihood":"bernoulli"}"#;
    let all = r#"data={"source":"sprites","batch_size":700000}"#;
    let mut far = bench.command(&config, &run);
    let output = far.args(["--set", burgess, "--set", all]).output().map_err(|error| error.to_string())?;
    let estimated = one_line(&output, 2)?;
    if !estimated.contains("data.batch_size: expected a batch whose training step fits into memory") || run.exists() {
        return Err(estimated);
    }
    // From a limit under which libtorch hardly starts to one that is enough.
    let (mut ran_out, mut refused, mut finished) = (0, 0, 0);
    for limit in (600_000..1_600_000_u64).step_by(50_000) {
        let run = bench.path(&format!("memory-{limit}"));
        let inner = bench.command(&config, &run);
        let mut command = Command::new("bash");
        command
            .args(["-c", &format!("ulimit -v {limit}; exec \"$0\" \"$@\"")])
            .arg(inner.get_program())
            .args(inner.get_args());
        command.envs(inner.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
        command.args(["--set", burgess, "--set", "data.batch_size=256"]);
        let output = command.output().map_err(|error| error.to_string())?;
        all_whole(&run)?;
        match output.status.code() {
            Some(0) => finished += 1,
            Some(2) if super::words(&output).contains("out of memory: ") => {
                one_line(&output, 2)?;
                ran_out += 1;
            }
            Some(2) => {
                one_line(&output, 2)?;
                refused += 1;
            }
            // Below what the dynamic loader, threads or Rust's own allocations take, nobody is left to write a line.
            _ if limit < 1_200_000 => refused += 1,
            _ => return Err(format!("under a limit of {limit} kB: {}: {}", output.status, super::words(&output))),
        }
    }
    if ran_out == 0 || finished == 0 {
        return Err(format!("{ran_out} runs ran out of memory and {finished} finished: the limits do not try it"));
    }
    Ok(format!(
        "1 refused by estimate; under limits {ran_out} ran out in one line, {refused} did not start, {finished} finished"
    ))
}
