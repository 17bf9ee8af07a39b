//! Values along a run.

use crate::support::{assert_close, numbers, step_number, vector};
use approx::assert_relative_eq;
use elbo_core::schedule::Shape;
use elbo_core::{NonNegative, Schedule, Weight};
use elbo_native::recorder::record;
use elbo_native::testing::single_thread;
use tch::{Device, Kind};

fn ramp(shape: Shape, from: f64, to: f64, steps: u64) -> Schedule {
    Schedule::Ramp { shape, from, to, steps }
}

fn at(schedule: Schedule, step: i64) -> f64 {
    let value = schedule.at(&step_number(step));
    assert_eq!(
        (value.kind(), value.device(), value.dim()),
        (Kind::Float, Device::Cpu, 0),
        "a float32 scalar beside the step"
    );
    numbers(&value)[0]
}

/// From 2 to 6 over 100 steps: start, quarter, middle, end, beyond. By hand: the cosine's quarter is 2 + 4 (1 − cos π/4)/2 = 2.585 786;
/// the exponential's √(√3)·2 = 2.632 148 and √3·2 = 3.464 102; the cyclical one is at its top from 50 on and starts again at 100.
#[test]
fn every_shape_at_the_start_in_the_middle_at_the_end_and_beyond() {
    single_thread();
    let steps = [0, 25, 50, 99, 100, 101, 125, 1_000_000];
    let linear = [2.0, 3.0, 4.0, 5.96, 6.0, 6.0, 6.0, 6.0];
    let cosine = [2.0, 2.585_786_4, 4.0, 5.999_013_2, 6.0, 6.0, 6.0, 6.0];
    let cyclical = [2.0, 4.0, 6.0, 6.0, 2.0, 2.08, 4.0, 2.0];
    let exponential = [2.0, 2.632_148_0, 3.464_101_6, 5.934_443_2, 6.0, 6.0, 6.0, 6.0];
    for (shape, expected) in [
        (Shape::Linear, linear),
        (Shape::Cosine, cosine),
        (Shape::Cyclical, cyclical),
        (Shape::Exponential, exponential),
    ] {
        for (step, expected) in steps.into_iter().zip(expected) {
            assert_relative_eq!(at(ramp(shape, 2.0, 6.0, 100), step), expected, max_relative = 1e-6);
        }
    }
    assert_relative_eq!(at(Schedule::Constant(0.3), 17), f64::from(0.3_f32));
}

#[test]
fn a_ramp_may_go_down_and_may_last_one_step() {
    single_thread();
    assert_relative_eq!(at(ramp(Shape::Linear, 6.0, 0.0, 4), 1), 4.5);
    assert_relative_eq!(at(ramp(Shape::Linear, 6.0, 0.0, 4), 9), 0.0);
    assert_relative_eq!(at(ramp(Shape::Linear, 6.0, 1.0, 1), 0), 6.0);
    assert_relative_eq!(at(ramp(Shape::Linear, 6.0, 1.0, 1), 1), 1.0);
}

/// float32 cannot tell 2²⁴ + 1 from 2²⁴; the step is counted in 64 bits until the value itself.
#[test]
fn steps_are_told_apart_beyond_what_float32_can_count() {
    single_thread();
    let start = 1_i64 << 24;
    let schedule = ramp(Shape::Cyclical, 0.0, 1.0, 4);
    let values: Vec<f64> = (start..start + 4).map(|step| at(schedule, step)).collect();
    assert_eq!(values, [0.0, 0.5, 1.0, 1.0]);
}

#[test]
fn range_and_constant_say_what_a_schedule_can_be() {
    assert_eq!(Schedule::Constant(3.0).range(), (3.0, 3.0));
    assert_eq!(Schedule::Constant(3.0).constant(), Some(3.0));
    assert_eq!(ramp(Shape::Cosine, 5.0, 1.0, 9).range(), (1.0, 5.0));
    assert_eq!(ramp(Shape::Cosine, 5.0, 1.0, 9).constant(), None);
}

/// A captured step runs the same operators whatever the step's number is.
#[test]
fn a_schedule_is_the_same_operators_at_every_step() {
    single_thread();
    let step = step_number(3);
    let term = vector(&[1.0, 2.0]);
    for shape in Shape::ALL {
        let weight = Weight::new(ramp(*shape, 1.0, 2.0, 10)).expect("a weight");
        let mut step = step.copy();
        let (_, first) = record(|| weight.times(&term, &step)).expect("a record");
        drop(step.fill_(30));
        let (_, second) = record(|| weight.times(&term, &step)).expect("a record");
        assert_eq!(first, second, "{shape}");
        assert!(!first.iter().any(elbo_native::recorder::Operator::synchronises), "{shape}");
    }
}

/// A float64 term stays float64, constant or not: gradient checks depend on it.
#[test]
fn a_weight_multiplies_in_the_terms_own_kind() {
    single_thread();
    let step = step_number(5);
    for (schedule, expected) in [(Schedule::Constant(0.5), 0.5), (ramp(Shape::Linear, 0.0, 3.0, 10), 1.5)] {
        let weight = Weight::new(schedule).expect("a weight");
        assert_eq!(weight.schedule(), schedule);
        for kind in [Kind::Float, Kind::Double] {
            let product = weight.times(&vector(&[2.0, 4.0]).to_kind(kind), &step);
            assert_eq!(product.kind(), kind);
            assert_close(&product, &vector(&[2.0 * expected, 4.0 * expected]), 1e-7);
        }
    }
}

#[test]
fn weights_out_of_range_are_refused() {
    assert_eq!(Weight::constant(-1.0), None);
    assert_eq!(Weight::constant(f64::NAN), None);
    assert_eq!(NonNegative::new(f64::INFINITY), None);
    assert_eq!(NonNegative::new(0.0).map(NonNegative::get), Some(0.0));
    let refusal = |schedule| Weight::new(schedule).expect_err("refused");
    assert_eq!(refusal(Schedule::Constant(-1.0)), "expected a finite number ≥ 0, got -1");
    assert_eq!(refusal(ramp(Shape::Linear, 0.0, -2.0, 5)), "expected a finite number ≥ 0, got -2");
    assert_eq!(refusal(ramp(Shape::Linear, 0.0, 2.0, 0)), "expected steps ≥ 1, got 0");
    assert_eq!(
        refusal(ramp(Shape::Exponential, 0.0, 2.0, 5)),
        "expected from > 0 and to > 0 for an exponential schedule, got 0 and 2"
    );
}
