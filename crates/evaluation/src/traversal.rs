//! What each latent dimension does to the picture, and how the model reconstructs and invents.

use crate::pictures::{Canvas, Grid, gif};
use elbo_core::{Generator, Posterior, Vae};
use tch::{Device, Kind, Tensor};

/// The values that a traversal gives a dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Span<'a> {
    /// From −limit to limit in equal steps: where the prior has its mass.
    Prior {
        /// In standard deviations of the prior.
        limit: f64,
    },
    /// Quantiles of a dimension's codes in equal steps, from `lowest` to 1 − `lowest`: where `q(z_d)` has its mass.
    Quantiles {
        /// Codes of a data set, `[n, D]`.
        codes: &'a Tensor,
        /// The lowest quantile, for example 0.02.
        lowest: f64,
    },
}

/// What a traversal shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options<'a> {
    /// The values of a dimension.
    pub span: Span<'a>,
    /// How many of them.
    pub columns: usize,
    /// At most as many dimensions, those with the largest KL.
    pub dimensions: usize,
    /// What else a sheet says of each dimension (`[D]`), such as the factor that it matches: up to [`LABEL_LINES`] lines, or nothing.
    pub labels: Option<&'a [String]>,
}

/// As many lines of one's own fit beside a row of a sheet.
pub const LABEL_LINES: usize = 3;

impl Default for Options<'_> {
    /// Eleven values from −2 to 2, at most 16 dimensions.
    fn default() -> Self {
        Self { span: Span::Prior { limit: 2.0 }, columns: 11, dimensions: 16, labels: None }
    }
}

/// One row per latent dimension: that dimension of `base` (a code, `[D]`) takes the values of `options`, the others stay.
///
/// Rows are ordered by `kl_per_dimension` (nats, `[D]`), largest first, and say it, above their own label if there are any. Where it is
/// not known, as for an implicit posterior, dimensions stand in their own order.
pub fn sheet(vae: &Vae, base: &Tensor, kl_per_dimension: Option<&[f64]>, options: &Options<'_>) -> Canvas {
    let order = Order::new(vae, kl_per_dimension, options);
    let values = options.values(vae, base.device());
    let mut grid = Grid::new().headings(options.headings());
    for (dimension, tiles) in order.shown.iter().zip(order.tiles(vae, base, &values)) {
        let mut label = vec![format!("z{dimension}")];
        label.extend(kl_per_dimension.map(|kl| format!("KL {:.2} nats", kl[*dimension])));
        label.extend(options.label_lines(vae, *dimension));
        grid = grid.row(&label.iter().map(String::as_str).collect::<Vec<_>>(), tiles);
    }
    order.with_note(grid, kl_per_dimension).render()
}

/// All dimensions at once, as a GIF: in every frame each tile has moved its own dimension of `base` a little, there and back.
pub fn animation(vae: &Vae, base: &Tensor, kl_per_dimension: Option<&[f64]>, options: &Options<'_>) -> Vec<u8> {
    const CENTISECONDS: u16 = 8;
    let order = Order::new(vae, kl_per_dimension, options);
    let values = options.values(vae, base.device());
    let tiles = order.tiles(vae, base, &values);
    let captions: Vec<String> = order
        .shown
        .iter()
        .map(|dimension| match kl_per_dimension {
            Some(kl) => format!("z{dimension} {:.1}", kl[*dimension]),
            None => format!("z{dimension}"),
        })
        .collect();
    let across = (order.shown.len() as f64).sqrt().ceil() as usize;
    let frame = |column: usize| {
        let tiles: Vec<Canvas> = tiles.iter().map(|row| row[column].clone()).collect();
        let rows = tiles.chunks(across).zip(captions.chunks(across));
        let grid =
            rows.fold(Grid::new(), |grid, (tiles, captions)| grid.captioned_row(captions.to_vec(), tiles.to_vec()));
        order.with_note(grid, kl_per_dimension).render().enlarged(2)
    };
    let forth = 0..options.columns;
    let back = (1..options.columns.saturating_sub(1)).rev();
    let frames: Vec<Canvas> = forth.chain(back).map(frame).collect();
    gif(&frames, CENTISECONDS)
}

/// Images `x` (`[n, C, H, W]`) over their reconstructions, E[x|z] at the mean of q(z|x), `columns` to a pair of rows.
///
/// `noise` is drawn from only for a posterior whose mean is not known.
pub fn reconstructions(vae: &Vae, x: &Tensor, columns: usize, noise: &Generator) -> Canvas {
    tch::no_grad(|| {
        let (posterior, sample) = vae.encode(x, noise);
        let z = match posterior {
            Posterior::Gaussian(moments) | Posterior::Implicit { moments: Some(moments) } => moments.mean,
            Posterior::Implicit { moments: None } => sample,
        };
        let (data, model) = (Canvas::from_images(x), Canvas::from_images(&vae.decode_mean(&z)));
        let pairs = data.chunks(columns).zip(model.chunks(columns));
        pairs
            .fold(Grid::new(), |grid, (data, model)| {
                grid.group(|grid| grid.row(&["data"], data.to_vec()).row(&["model"], model.to_vec()))
            })
            .render()
    })
}

/// E[x|z] for `rows` × `columns` draws of z from the prior.
pub fn prior_samples(vae: &Vae, rows: usize, columns: usize, noise: &Generator) -> Canvas {
    tch::no_grad(|| {
        let z = noise.normal(&[(rows * columns) as i64, vae.latent()], Kind::Float);
        let tiles = Canvas::from_images(&vae.decode_mean(&z));
        tiles.chunks(columns).fold(Grid::new(), |grid, row| grid.row(&[], row.to_vec())).render()
    })
}

impl Options<'_> {
    /// Values of every dimension, `[D, columns]`.
    fn values(&self, vae: &Vae, device: Device) -> Tensor {
        assert!(self.columns >= 2, "a traversal needs at least two columns, got {}", self.columns);
        let (latent, columns) = (vae.latent(), self.columns as i64);
        match self.span {
            Span::Prior { limit } => {
                Tensor::linspace(-limit, limit, columns, (Kind::Float, device)).expand([latent, columns], false)
            }
            Span::Quantiles { codes, lowest } => {
                assert_eq!(codes.size().last(), Some(&latent), "codes must be [n, {latent}]");
                let quantiles = Tensor::linspace(lowest, 1.0 - lowest, columns, (Kind::Float, codes.device()));
                codes
                    .detach()
                    .to_kind(Kind::Float)
                    .quantile(&quantiles, 0, false, "linear")
                    .transpose(0, 1)
                    .to_device(device)
            }
        }
    }

    /// The lines of the dimension's own label.
    fn label_lines(&self, vae: &Vae, dimension: usize) -> Vec<String> {
        let Some(labels) = self.labels else { return Vec::new() };
        assert_eq!(labels.len() as i64, vae.latent(), "labels must have an entry for each of the dimensions");
        let lines: Vec<String> = labels[dimension].lines().map(str::to_owned).collect();
        assert!(lines.len() <= LABEL_LINES, "a label has at most {LABEL_LINES} lines, got {lines:?}");
        lines
    }

    fn headings(&self) -> Vec<String> {
        let share = |column: usize| column as f64 / (self.columns - 1) as f64;
        (0..self.columns)
            .map(|column| match self.span {
                Span::Prior { .. } if 2 * column + 1 == self.columns => "0".to_owned(),
                Span::Prior { limit } => format!("{:+.1}", (2.0 * share(column) - 1.0) * limit),
                Span::Quantiles { lowest, .. } => {
                    format!("{:.0}%", 100.0 * (lowest + (1.0 - 2.0 * lowest) * share(column)))
                }
            })
            .collect()
    }
}

/// Which dimensions are shown, and in which order.
struct Order {
    shown: Vec<usize>,
    left_out: Vec<usize>,
}

impl Order {
    fn new(vae: &Vae, kl_per_dimension: Option<&[f64]>, options: &Options<'_>) -> Self {
        let mut all: Vec<usize> = (0..vae.latent() as usize).collect();
        if let Some(kl) = kl_per_dimension {
            assert_eq!(
                kl.len(),
                all.len(),
                "kl_per_dimension must have a value for each of the {} dimensions",
                all.len()
            );
            all.sort_by(|&a, &b| kl[b].total_cmp(&kl[a]));
        }
        let left_out = all.split_off(options.dimensions.clamp(1, all.len()));
        Self { shown: all, left_out }
    }

    /// A row of tiles for every dimension that is shown.
    fn tiles(&self, vae: &Vae, base: &Tensor, values: &Tensor) -> Vec<Vec<Canvas>> {
        assert_eq!(base.size(), [vae.latent()], "base must be one code, [D]");
        tch::no_grad(|| {
            let columns = values.size()[1];
            let row = |&dimension: &usize| {
                let z = base.detach().to_kind(Kind::Float).expand([columns, vae.latent()], true).contiguous();
                z.select(1, dimension as i64).copy_(&values.get(dimension as i64));
                Canvas::from_images(&vae.decode_mean(&z))
            };
            self.shown.iter().map(row).collect()
        })
    }

    fn with_note(&self, grid: Grid, kl_per_dimension: Option<&[f64]>) -> Grid {
        let Some(first) = self.left_out.first() else { return grid };
        let count = self.left_out.len();
        grid.note(match kl_per_dimension {
            Some(kl) => format!("{count} more, KL at most {:.2} nats each", kl[*first]),
            None => format!("{count} more"),
        })
    }
}
