//! The pictures of `evaluate`: what each dimension tells, and what it draws.

use super::Selection;
use anyhow::Result;
use elbo_core::Generator;
use elbo_evaluation::encode::Codes;
use elbo_evaluation::pictures::{Canvas, Colouring, Representation, aggregate_posterior};
use elbo_evaluation::scores::Table;
use elbo_evaluation::statistics;
use elbo_evaluation::traversal::Options;
use elbo_runner::TrainedRun;
use elbo_runner::gallery::Gallery;
use tch::{Device, Tensor};

/// Points of the aggregate posterior.
const POINTS: i64 = 5_000;
/// Dimensions of the aggregate posterior.
const DIMENSIONS: usize = 4;
/// Levels that points are coloured by at most.
const LEVELS: i64 = 10;

/// Names and pictures: codes beside factors where those are known, the aggregate posterior, labelled traversals.
///
/// # Errors
/// When libtorch makes no generator.
pub fn pictures(
    run: &TrainedRun,
    selection: &Selection<'_>,
    codes: &Codes,
    table: Option<&Table>,
    noise: &Generator,
) -> Result<Vec<(&'static str, Canvas)>> {
    let kl = statistics::kl_per_dimension(codes);
    let representation = table.map(|table| Representation::new(table, kl.as_deref(), run.config.seed));
    let mut pictures = Vec::new();
    if let Some(representation) = &representation {
        pictures.push(("latent_against_factor", representation.latent_against_factor()));
        pictures.push(("mutual_information", representation.mutual_information()));
    }
    let order: Vec<usize> = match (&representation, &kl) {
        (Some(representation), _) => representation.order().to_vec(),
        (None, Some(kl)) => {
            let mut order: Vec<usize> = (0..kl.len()).collect();
            order.sort_by(|&a, &b| kl[b].total_cmp(&kl[a]));
            order
        }
        (None, None) => (0..run.vae.latent() as usize).collect(),
    };
    if order.len() >= 2 {
        let shown = &order[..order.len().min(DIMENSIONS)];
        let places = noise.permutation(codes.len()).narrow(0, 0, POINTS.min(codes.len()));
        let z = codes.z.index_select(0, &places);
        let colours = colours(selection, &places);
        let colouring = colours.as_ref().map(|(name, levels)| Colouring { name, levels, level_names: &[] });
        pictures.push(("aggregate_posterior", aggregate_posterior(&z, shown, colouring.as_ref())));
    }
    let labels = representation.as_ref().map(Representation::labels);
    let gallery = Gallery::new(&run.vae, &selection.data.images, &selection.rows, None, noise)?;
    pictures.push(("traversals", gallery.traversals(&Options { labels: labels.as_deref(), ..Options::default() })));
    Ok(pictures)
}

/// The labels of some of the selected images, or else the factor with the fewest levels, if those are few.
fn colours(selection: &Selection<'_>, places: &Tensor) -> Option<(String, Vec<usize>)> {
    let rows = selection.rows.index_select(0, places).to_device(Device::Cpu);
    let host = |levels: &Tensor| -> Vec<usize> {
        let levels = Vec::<i64>::try_from(levels.index_select(0, &rows)).expect("Int64 levels");
        levels.into_iter().map(|level| level.max(0) as usize).collect()
    };
    if let Some(labels) = &selection.data.labels {
        return Some(("label".to_owned(), host(labels)));
    }
    let factors = selection.data.factors.as_ref()?;
    let (k, size) = factors.sizes.iter().enumerate().min_by_key(|(_, size)| **size)?;
    (*size <= LEVELS).then(|| (factors.names[k].clone(), host(&factors.classes.select(1, k as i64).contiguous())))
}
