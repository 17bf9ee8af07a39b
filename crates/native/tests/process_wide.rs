//! Flags and memory: they belong to the process, so this binary has one test for all that changes them.

use elbo_native::flags::{Flag, get, set};
use elbo_native::{initialise, memory, testing::single_thread};
use tch::{Device, Kind, Tensor};

const FLAGS: [(Flag, bool); 5] = [
    (Flag::Tf32Matmul, false),
    (Flag::Tf32Convolution, true),
    (Flag::Deterministic, false),
    (Flag::CudnnDeterministic, false),
    (Flag::CudnnBenchmark, false),
];

#[test]
fn each_flag_is_itself_and_no_other() {
    single_thread();
    for (flag, default) in FLAGS {
        assert_eq!(get(flag).unwrap(), default, "{flag:?}");
    }
    for (flag, default) in FLAGS {
        set(flag, !default).unwrap();
        for (other, its_default) in FLAGS {
            assert_eq!(get(other).unwrap(), its_default ^ (other == flag), "{other:?} after {flag:?}");
        }
        set(flag, default).unwrap();
    }

    // The flag does something: `put_` without accumulation has no deterministic form, on the CPU either.
    let (index, source) = (Tensor::from_slice(&[0_i64]), Tensor::from_slice(&[1.0_f32]));
    let put = || Tensor::zeros([2], (Kind::Float, Device::Cpu)).f_put_(&index, &source, false).is_ok();
    assert!(put());
    set(Flag::Deterministic, true).unwrap();
    assert!(!put());
    set(Flag::Deterministic, false).unwrap();
    assert!(put());
}

#[test]
fn memory_is_told_where_there_is_cuda_and_its_absence_explained_elsewhere() {
    single_thread();
    let status = initialise();
    if status.is_loaded() && tch::Cuda::device_count() > 0 {
        let tensor = Tensor::zeros([1 << 20], (Kind::Float, Device::Cuda(0)));
        memory::reset_peak(0).unwrap();
        let held = memory::cuda(0).unwrap();
        assert!(held.allocated >= 4 << 20 && held.reserved >= held.allocated);
        assert!(held.peak_allocated >= held.allocated && held.peak_reserved >= held.reserved);
        drop(tensor);
    } else if !status.is_loaded() {
        assert_eq!(memory::cuda(0).unwrap_err().to_string(), status.to_string());
        assert_eq!(memory::reset_peak(0).unwrap_err().to_string(), status.to_string());
    }
    assert!(memory::cuda(1 << 20).is_err());
}
