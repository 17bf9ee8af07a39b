//! Means over a window of steps, kept on the device: one transfer a window.

use anyhow::{Context, Result, bail, ensure};
use elbo_core::Scalars;
use tch::{Device, Kind, Tensor};

/// Sums of a run's scalars since the last log point.
#[derive(Debug)]
pub struct Window {
    device: Device,
    layout: Vec<(String, i64)>,
    sums: Tensor,
    steps: u64,
}

impl Window {
    /// An empty window. Its layout comes from the first step's scalars.
    pub fn new(device: Device) -> Self {
        Self { device, layout: Vec::new(), sums: Tensor::zeros([0], (Kind::Double, device)), steps: 0 }
    }

    /// Adds one step's values: a concatenation and an addition, on the device. Returns the values as one vector. The host
    /// [`count`](Self::count)s apart, because a captured step runs this once and replays it often.
    ///
    /// # Errors
    /// Other scalars than those of the window's steps so far, which may be of a checkpoint that another program wrote.
    pub fn add(&mut self, scalars: &Scalars) -> Result<Tensor> {
        if !self.is_of(scalars) {
            self.lay_out(scalars)?;
        }
        let values: Vec<Tensor> = scalars.entries().iter().map(|(_, value)| value.reshape([-1])).collect();
        let values = Tensor::cat(&values, 0);
        // Sums in double precision; in place, so that the tensor's address stays.
        let _ = self.sums.g_add_(&values);
        Ok(values)
    }

    /// Counts one step on the host. Once for each [`add`](Self::add), run or replayed.
    pub fn count(&mut self) {
        self.steps += 1;
    }

    fn is_of(&self, scalars: &Scalars) -> bool {
        let entries = scalars.entries();
        self.layout.len() == entries.len()
            && self
                .layout
                .iter()
                .zip(entries)
                .all(|((name, length), (other, value))| name == other && *length == length_of(value))
    }

    /// For scalars that are not the window's: there must be no step in it.
    fn lay_out(&mut self, scalars: &Scalars) -> Result<()> {
        let new = layout(scalars);
        if self.steps > 0 {
            let differ = |one: &[(String, i64)], other: &[(String, i64)]| {
                let missing = one.iter().filter(|entry| !other.contains(entry));
                let shown = missing
                    .map(|(name, length)| if *length == 0 { name.clone() } else { format!("{name} [{length}]") });
                shown.collect::<Vec<_>>().join(", ")
            };
            let (gone, come) = (differ(&self.layout, &new), differ(&new, &self.layout));
            let reason = match (gone.as_str(), come.as_str()) {
                ("", "") => "they come in another order".to_owned(),
                (gone, "") => format!("without {gone}"),
                ("", come) => format!("with {come}"),
                (gone, come) => format!("with {come} and without {gone}"),
            };
            bail!(
                "a step reports other scalars than the steps since the last log point ({} of them): {reason}",
                self.steps
            );
        }
        self.layout = new;
        self.sums = Tensor::zeros([values(&self.layout)], (Kind::Double, self.device));
        Ok(())
    }

    /// Steps since the last log point.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Names of all values, vectors as `<name>/<d>`.
    pub fn names(&self) -> Vec<String> {
        names(&self.layout)
    }

    /// The window's means by name, and an empty window after: the one transfer.
    ///
    /// # Errors
    /// When libtorch does.
    pub fn take(&mut self) -> Result<Vec<(String, f64)>> {
        let means = Vec::<f64>::try_from(&self.sums / self.steps.max(1) as f64)?;
        let _ = self.sums.zero_();
        self.steps = 0;
        Ok(self.names().into_iter().zip(means).collect())
    }

    /// Where the sums are.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The sums, for a checkpoint. Empty before the first step.
    pub fn sums(&self) -> &Tensor {
        &self.sums
    }

    /// The layout as text, for a checkpoint's metadata: `name:length` by line.
    pub fn describe(&self) -> String {
        let lines: Vec<String> = self.layout.iter().map(|(name, length)| format!("{name}:{length}")).collect();
        lines.join("\n")
    }

    /// The window that [`Window::sums`], [`Window::describe`] and [`Window::steps`] describe.
    ///
    /// # Errors
    /// When the three do not fit each other.
    pub fn restored(device: Device, sums: &Tensor, description: &str, steps: u64) -> Result<Self> {
        let layout = description
            .lines()
            .map(|line| {
                let (name, length) = line.rsplit_once(':')?;
                Some((name.to_owned(), length.parse().ok()?))
            })
            .collect::<Option<Vec<(String, i64)>>>()
            .with_context(|| format!("the layout of a metric window does not parse: {description:?}"))?;
        let length = values(&layout);
        ensure!(sums.size() == [length], "a metric window of {length} values has {:?} sums", sums.size());
        ensure!(sums.kind() == Kind::Double, "a metric window's sums are {:?}, not Double", sums.kind());
        Ok(Self { device, layout, sums: sums.to_device(device).copy(), steps })
    }
}

/// Number of values in a layout.
fn values(layout: &[(String, i64)]) -> i64 {
    layout.iter().map(|(_, length)| (*length).max(1)).sum()
}

fn layout(scalars: &Scalars) -> Vec<(String, i64)> {
    scalars.entries().iter().map(|(name, value)| (name.clone(), length_of(value))).collect()
}

/// 0 for a scalar, which is one value; a vector's own length, 1 included.
fn length_of(value: &Tensor) -> i64 {
    value.size().first().copied().unwrap_or(0)
}

fn names(layout: &[(String, i64)]) -> Vec<String> {
    layout
        .iter()
        .flat_map(|(name, length)| match length {
            0 => vec![name.clone()],
            length => (0..*length).map(|index| format!("{name}/{index}")).collect(),
        })
        .collect()
}
