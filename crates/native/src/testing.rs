//! For tests, of this crate and of all others.

/// Makes libtorch work on one thread, and initialises it. The first line of every test that computes with tensors.
///
/// Threads of libtorch wait for each other by spinning; where tests run beside one another on few cores that costs 2 to 25 times
/// the work itself.
pub fn single_thread() {
    crate::initialise();
    // Every time, not once: libtorch keeps the number for the process but applies it to the thread that asks.
    tch::set_num_threads(1);
}
