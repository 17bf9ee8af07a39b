//! What the shim hands out is freed: thousands of calls with large tensors leave the process as large as it was.

use elbo_native::{
    Argument, Generator, call, clip_by_global_norm, global_norm, gradients, recorder::record, testing::single_thread,
};
use tch::{Device, Kind, Tensor};

/// Memory of this process that is in use, in bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Each round makes some ten tensors of 1 MiB; 300 rounds of one leak would be 300 MiB.
#[test]
fn nothing_is_left_behind() {
    single_thread();
    let noise = Generator::new(Device::Cpu, 1).unwrap();
    let float = (Kind::Float, Device::Cpu);
    let x = Tensor::ones([1 << 18], float).set_requires_grad(true);
    let unused = Tensor::ones([1 << 18], float).set_requires_grad(true);
    let named = |name: &str, tensor: &Tensor| (name.to_owned(), tensor.shallow_clone());
    let round = || {
        let drawn = noise.normal(&[1 << 18], Kind::Float);
        let loss = (&x * drawn).sum(None::<Kind>);
        let found = gradients(&loss, &[named("x", &x)]).unwrap();
        drop(clip_by_global_norm(&found, 1.0).unwrap());
        drop(global_norm(&found).unwrap());
        // The gradient of `x` is made and given back; the error is about the other.
        let loss = x.square().sum(None::<Kind>);
        gradients(&loss, &[named("x", &x), named("unused", &unused)]).unwrap_err();
        call("aten::_foreach_exp", "", &[Argument::Tensors(&found)]).unwrap();
        call("aten::mm", "", &[Argument::Tensor(&x), Argument::Tensor(&x)]).unwrap_err();
        drop(record(|| x.exp()).unwrap());
        noise.set_state(&noise.state().unwrap()).unwrap();
        drop(Generator::new(Device::Cpu, 1).unwrap());
    };
    (0..20).for_each(|_| round());
    let before = resident();
    (0..300).for_each(|_| round());
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{} MiB more than before", grown >> 20);
}
