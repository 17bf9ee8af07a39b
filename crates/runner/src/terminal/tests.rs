//! What a person sees.

use super::*;
use std::sync::{Arc, Mutex};

/// A standard error that can be looked at.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Screen {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_string).collect()
    }
}

fn elbo(value: f64) -> Vec<(String, f64)> {
    vec![("train/loss".to_string(), -value), ("train/elbo".to_string(), value)]
}

#[test]
fn plain_lines_are_the_first_the_last_and_few_between() {
    let screen = Screen::default();
    let mut terminal = Terminal::plain(2000, 1000, Box::new(screen.clone()));
    for step in 1001..=1100 {
        terminal.advanced(step);
        terminal.logged(step, &elbo(-43.2149));
    }
    terminal.note("checkpoint\n  of step 1100\n");
    terminal.finish();
    terminal.finish();
    let lines = screen.lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("step 1001/2000  50%  "), "{}", lines[0]);
    assert!(lines[0].contains(" steps/s  ELBO  -43.21"), "{}", lines[0]);
    assert_eq!(lines[1], "checkpoint; of step 1100");
    assert!(lines[2].starts_with("step 1100/2000  55%  "), "{}", lines[2]);
}

#[test]
fn after_the_spacing_the_newest_line_is_shown() {
    let screen = Screen::default();
    let mut terminal = Terminal::plain(100, 0, Box::new(screen.clone()));
    terminal.logged(10, &elbo(-1.0));
    terminal.logged(20, &elbo(-2.0));
    terminal.shown = Instant::now().checked_sub(PLAIN_EVERY);
    terminal.logged(30, &[("evaluate/total_correlation".to_string(), 1.0)]);
    let lines = screen.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].starts_with("step  30/100  30%") && lines[1].contains("ELBO      -2"), "{}", lines[1]);
}

#[test]
fn a_quiet_run_says_warnings_alone_and_a_method_without_elbo_shows_its_loss() {
    let said = |mode: Mode| ["device: cpu", "warning: damaged cache"].map(|text| mode.lets_through(text));
    assert_eq!((said(Mode::Quiet), said(Mode::Plain), said(Mode::Bar)), ([false, true], [true; 2], [true; 2]));
    let mut terminal = Terminal::new(Mode::Quiet, 10, 0);
    terminal.logged(5, &elbo(-1.0));
    assert_eq!(terminal.waiting, None);
    assert_eq!(headline(&[("train/loss".to_string(), f64::NAN)]).unwrap(), "loss     NaN");
    assert_eq!(headline(&[("train/kl".to_string(), 1.0)]), None);
}

/// A run resumed at step 1000 that does 10 steps a second has 100 seconds left for another 1000, whatever was done before.
#[test]
fn speed_and_remaining_time_count_from_the_step_resumed_at() {
    let start = Instant::now();
    let mut terminal = Terminal::new(Mode::Quiet, 2000, 1000);
    terminal.pace = Pace::new(start, 1000);
    assert_eq!(terminal.steps_per_second(), None);
    assert_eq!(terminal.message(1000), "");
    terminal.pace.at(start + Duration::from_secs(10), 1100);
    assert_eq!(terminal.steps_per_second(), Some(10.0));
    terminal.values = "ELBO -43.21".to_string();
    assert_eq!(terminal.message(1100), "   10 steps/s  ELBO -43.21  1 min 30 s left");
    assert_eq!(terminal.message(2000), "   10 steps/s  ELBO -43.21");
}

#[test]
fn the_speed_is_that_of_the_last_half_minute() {
    let start = Instant::now();
    let mut pace = Pace::new(start, 0);
    for second in 1..=100_u64 {
        let slow = second.min(50);
        pace.at(start + Duration::from_secs(second), slow + 10 * (second - slow));
    }
    assert_eq!(pace.steps_per_second(), Some(10.0));
}

/// The bar draws to a terminal only; elsewhere its text is still right.
#[test]
fn the_bar_starts_at_the_step_resumed_at() {
    let bar = bar(2000, 1000, ProgressDrawTarget::hidden());
    assert_eq!((bar.position(), bar.length()), (1000, Some(2000)));
    let mut terminal = Terminal::with_output(Output::Bar(bar.clone()), 2000, 1000);
    terminal.logged(1100, &elbo(-43.2149));
    assert_eq!(bar.position(), 1100);
    assert!(bar.message().contains("ELBO  -43.21"), "{}", bar.message());
    terminal.finish();
    assert!(bar.is_finished());
}

#[test]
fn numbers_have_four_significant_digits() {
    let cases = [
        (0.0, "0"),
        (-0.0, "0"),
        (6.0, "6"),
        (-43.2149, "-43.21"),
        (0.0123449, "0.01234"),
        (0.00012346, "0.0001235"),
        (9.99996, "10.000"),
        (123456.7, "123457"),
        (737280.0, "737280"),
        (1234567.0, "1.235e6"),
        (5e-5, "5.000e-5"),
        (f64::NAN, "NaN"),
        (f64::NEG_INFINITY, "-inf"),
    ];
    for (value, text) in cases {
        assert_eq!(human(value), text);
    }
}

#[test]
fn durations_read_in_two_units() {
    let cases =
        [(0.4, "0 s"), (59.6, "1 min 00 s"), (200.0, "3 min 20 s"), (18_420.0, "5 h 07 min"), (183_600.0, "2 d 03 h")];
    for (seconds, text) in cases {
        assert_eq!(duration(seconds), text);
    }
    assert_eq!(duration(f64::INFINITY), "?");
}

#[test]
fn the_table_groups_rows_and_aligns_numbers_at_the_point() {
    let scalars = [
        ("train/elbo", -43.2149),
        ("evaluate/total_correlation", 0.0123456),
        ("train/kl", 17.0),
        ("train/kl_per_dimension/3", 5e-5),
        ("speed/steps_per_second", 11.72),
        ("loss", f64::NAN),
    ];
    let scalars = scalars.map(|(tag, value)| (tag.to_string(), value));
    let expected = "\
──────────────────────────────────────────────────────
                                      value   unit
──────────────────────────────────────────────────────
            loss                 NaN
 train      elbo                 -43.21       nats
            kl                    17          nats
            kl_per_dimension/3     5.000e-5   nats
 evaluate   total_correlation      0.01235    nats
 speed      steps_per_second      11.72       steps/s
──────────────────────────────────────────────────────";
    assert_eq!(table(&rows(&scalars)), expected);
    assert!(table(&[]).contains("value"));
}

#[test]
fn only_what_is_known_to_be_in_nats_is_said_to_be() {
    for tag in [
        "train/elbo",
        "train/kl_per_dimension/9",
        "train/estimate/total_correlation_mws",
        "evaluate/mutual_information",
        "train/critic_cost",
        "train/discriminator_cost/data",
    ] {
        assert_eq!(unit(tag), "nats", "{tag}");
    }
    for tag in ["train/critic_accuracy", "schedule/kl", "score/mig", "elbo", "train/klx"] {
        assert_eq!(unit(tag), "", "{tag}");
    }
}

#[test]
fn next_commands_are_aligned() {
    let text = next_commands(&[("curves and pictures", "make tensorboard"), ("scores", "evaluate runs/first")]);
    assert_eq!(text, "next:\n  make tensorboard     # curves and pictures\n  evaluate runs/first  # scores\n");
}

#[test]
fn an_error_is_one_line() {
    assert_eq!(one_line("first\n  second\n\nthird\n"), "first; second; third");
}
