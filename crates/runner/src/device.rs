//! From the configuration's device and precision to libtorch's.

use crate::InputError;
use crate::config::{DeviceChoice, Precision};
use elbo_native::flags::{self, Flag};
use tch::{Cuda, Device};

/// The device that `choice` means on this machine.
///
/// # Errors
/// When a CUDA device is asked for that is not there; the line says why.
pub fn resolve(choice: DeviceChoice) -> Result<Device, InputError> {
    // First of all: libtorch remembers for good what it is told about CUDA before the libraries are in.
    let status = elbo_native::initialise();
    let devices = usize::try_from(Cuda::device_count()).unwrap_or(0);
    match choice {
        DeviceChoice::Auto if devices > 0 => Ok(Device::Cuda(0)),
        DeviceChoice::Auto | DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Cuda(index) if index < devices => Ok(Device::Cuda(index)),
        DeviceChoice::Cuda(index) if devices > 0 => {
            Err(InputError::new(format!("device: expected a CUDA device below {devices}, got cuda:{index}")))
        }
        DeviceChoice::Cuda(_) => Err(InputError::new(format!("device: no CUDA device can be used: {status}"))),
    }
}

/// The device of a rank, where rank 0 computes on `device`: the GPU of its own number, or the CPU.
///
/// # Errors
/// This machine has fewer GPUs than ranks.
pub fn of_rank(device: Device, local_rank: i64) -> Result<Device, InputError> {
    if !device.is_cuda() {
        return Ok(device);
    }
    let devices = Cuda::device_count();
    match usize::try_from(local_rank) {
        Ok(index) if local_rank < devices => Ok(Device::Cuda(index)),
        _ => Err(InputError::new(format!(
            "device: expected a GPU for each process of this machine, got {devices} GPUs for {} or more",
            local_rank + 1
        ))),
    }
}

/// How a configuration writes a device.
pub fn choice_of(device: Device) -> DeviceChoice {
    match device {
        Device::Cuda(index) => DeviceChoice::Cuda(index),
        _ => DeviceChoice::Cpu,
    }
}

/// Sets libtorch's arithmetic for the whole process. cuDNN's own default rounds to TF32, so every switch is set either way.
///
/// # Errors
/// When libtorch does.
pub fn set_precision(precision: Precision) -> elbo_native::Result<()> {
    elbo_native::set_autocast(precision == Precision::Bfloat16);
    let tf32 = precision == Precision::Tf32;
    flags::set(Flag::Tf32Matmul, tf32)?;
    flags::set(Flag::Tf32Convolution, tf32)
}
