//! How sharp pictures are, and how alike they look to a classifier that knows nothing of the model.

use crate::classifier::Classifier;
use tch::Tensor;

/// The Laplacian energy of every picture: the mean over its inner pixels and channels of the squared four-neighbour Laplacian.
///
/// ```text
/// (x[i−1, j] + x[i+1, j] + x[i, j−1] + x[i, j+1] − 4 x[i, j])²
/// ```
/// Edges have it and blurred pictures have little: 0 for flat ones and for ramps, 16 for a chessboard of single pixels. Noise has it too, so that
/// a higher energy than that of data is no praise. Shapes: `[B, C, H, W]` → `[B]`.
pub fn laplacian_energy(pictures: &Tensor) -> Tensor {
    let size = pictures.size();
    let (height, width) = (size[2] - 2, size[3] - 2);
    assert!(height >= 1 && width >= 1, "a Laplacian needs pictures of at least 3×3, got {size:?}");
    let shifted = |down: i64, right: i64| pictures.narrow(2, down, height).narrow(3, right, width);
    let neighbours = shifted(0, 1) + shifted(2, 1) + shifted(1, 0) + shifted(1, 2);
    (neighbours - shifted(1, 1) * 4.0).square().flatten(1, -1).mean_dim(1, false, None)
}

/// The distance between two sets of pictures in a classifier's features, row by row: `[B]`, no unit.
///
/// `|f(a) − f(b)|²` as a share of what it is between pictures of different rows of `a`: 0 for equal pictures, 1 where b is as far from a as another
/// picture would be.
pub fn feature_distance(classifier: &Classifier, a: &Tensor, b: &Tensor) -> Tensor {
    let (a, b) = tch::no_grad(|| (classifier.features(a), classifier.features(b)));
    let squared = |one: &Tensor, other: &Tensor| (one - other).square().sum_dim_intlist(-1, false, None);
    let others = squared(&a, &a.roll([1], [0])).mean(None);
    squared(&a, &b) / others
}
