//! Factors of some of the images.

use elbo_data::Factors;
use tch::Tensor;

/// Rows 0, 2 and 4 have one level of the first factor, levels 0 and 3 of the second and two of the third: the second counts 0 and 1 there.
#[test]
fn what_varies_among_some_images_is_closed_up() {
    let names = ["a", "b", "c"].map(ToString::to_string);
    let levels = [0, 0, 0, 1, 1, 1, 0, 3, 1, 1, 2, 0, 0, 3, 0];
    let values: Vec<f64> = levels.iter().map(|level| f64::from(*level as i32) / 2.0).collect();
    let factors = Factors::new(&names, &levels, Some(&values)).unwrap().unwrap();
    let some = factors.varying(&Tensor::from_slice(&[0_i64, 2, 4])).unwrap();
    assert_eq!((some.names.as_slice(), some.sizes.as_slice()), (&["b".to_owned(), "c".to_owned()][..], &[2, 2][..]));
    assert_eq!(Vec::<i64>::try_from(&some.classes.reshape(-1)).unwrap(), [0, 0, 1, 1, 1, 0]);
    assert_eq!(Vec::<f64>::try_from(&some.values.reshape(-1)).unwrap(), [0.0, 0.0, 1.5, 0.5, 1.5, 0.0]);
    assert!(factors.varying(&Tensor::from_slice(&[3_i64])).is_none());
    assert!(factors.varying(&Tensor::from_slice(&[1_i64, 1])).is_none());
}
