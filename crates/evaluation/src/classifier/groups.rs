//! Which pictures belong to which class.

use elbo_native::Generator;
use tch::{Device, Kind, Tensor};

/// Rows of a data set by class: for each of K classes Int64 `[n_k]`, on the device of the images.
///
/// Draws are on the CPU, so that one seed gives one division on every device.
#[derive(Debug)]
pub struct Groups(Vec<Tensor>);

impl Groups {
    /// Of images with the class `classes[row]` (Int64 `[N]`, from 0 to `count` − 1), or of those at `rows` alone (Int64 `[M]`).
    pub fn of(classes: &Tensor, count: i64, rows: Option<&Tensor>, device: Device) -> Self {
        let classes = classes.to_device(Device::Cpu);
        let (rows, own) = match rows {
            Some(rows) => {
                let rows = rows.to_device(Device::Cpu);
                let own = classes.index_select(0, &rows);
                (rows, own)
            }
            None => (Tensor::arange(classes.size()[0], (Kind::Int64, Device::Cpu)), classes),
        };
        let of = |class| rows.index_select(0, &own.eq(class).nonzero().squeeze_dim(1)).to_device(device);
        Self((0..count).map(of).collect())
    }

    /// The rows of each class.
    pub fn rows(&self) -> &[Tensor] {
        &self.0
    }

    /// Number of rows of each class.
    pub fn counts(&self) -> Vec<i64> {
        self.0.iter().map(|rows| rows.size()[0]).collect()
    }

    /// All rows, Int64 `[n]`, class by class, and the class of each.
    pub fn joined(&self) -> (Tensor, Tensor) {
        let classes = self.0.iter().enumerate().map(|(class, rows)| rows.full_like(class as i64)).collect::<Vec<_>>();
        (Tensor::cat(&self.0, 0), Tensor::cat(&classes, 0))
    }

    /// Two parts of every class drawn by `seed`: a `share` of its rows (rounded, at least one), and the others.
    ///
    /// # Errors
    /// When libtorch makes no generator.
    pub fn split(&self, share: f64, seed: u64) -> elbo_native::Result<(Self, Self)> {
        let shuffled = self.shuffled(seed)?;
        let parts = shuffled.iter().map(|rows| {
            let count = rows.size()[0];
            let first = ((count as f64 * share).round() as i64).clamp(count.min(1), count);
            (rows.narrow(0, 0, first), rows.narrow(0, first, count - first))
        });
        let (first, rest) = parts.unzip();
        Ok((Self(first), Self(rest)))
    }

    /// At most `most` rows of every class, drawn by `seed`.
    ///
    /// # Errors
    /// When libtorch makes no generator.
    pub fn at_most(&self, most: i64, seed: u64) -> elbo_native::Result<Self> {
        let shuffled = self.shuffled(seed)?;
        Ok(Self(shuffled.iter().map(|rows| rows.narrow(0, 0, most.min(rows.size()[0]))).collect()))
    }

    fn shuffled(&self, seed: u64) -> elbo_native::Result<Vec<Tensor>> {
        let noise = Generator::new(Device::Cpu, seed)?;
        let shuffle = |rows: &Tensor| rows.index_select(0, &noise.permutation(rows.size()[0]).to_device(rows.device()));
        Ok(self.0.iter().map(shuffle).collect())
    }
}
