//! What goes wrong on long runs, on purpose and often: `make check-faults`.

use elbo_tests::faults::{Bench, all};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(train), wanted) = (arguments.next(), arguments.next().map(|word| word.to_string_lossy().into_owned()))
    else {
        eprintln!("usage: check-faults TRAIN [FAULT]");
        return ExitCode::from(2);
    };
    elbo_native::initialise();
    let bench = Bench::new(PathBuf::from(train));
    let mut failed = false;
    for (name, fault) in all() {
        if wanted.as_ref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let started = Instant::now();
        let (verdict, said) = match fault(&bench) {
            Ok(said) => ("holds", said),
            Err(said) => {
                failed = true;
                ("FAILS", said)
            }
        };
        println!("{verdict}  {name:<14} {said} ({:.0} s)", started.elapsed().as_secs_f64());
    }
    ExitCode::from(u8::from(failed))
}
