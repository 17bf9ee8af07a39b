#![no_main]

use elbo_tests::readers::records::events;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| events(bytes));
