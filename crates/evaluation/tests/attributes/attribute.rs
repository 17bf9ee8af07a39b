//! What the names of attributes mean.

use crate::linear::{codes, images};
use elbo_data::{Attributes, Dataset, Factors, Split};
use elbo_evaluation::attributes::Attribute;
use elbo_evaluation::attributes::attribute::{listing, usual};
use tch::{Kind, Tensor};

fn data(count: i64) -> Dataset {
    Dataset::new("some", images(&codes(count, 1).0), Split::Train)
}

/// Twelve images of dSprites: squares and hearts, three scales of the full grid's six, two positions.
fn sprites() -> Dataset {
    let names = ["shape", "scale", "position_x"].map(str::to_owned);
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    for (shape, scale, position) in (0..12).map(|n| ([0, 2][n / 6], [1, 3, 5][n / 2 % 3], n as i64 % 2)) {
        levels.extend([shape, scale, position]);
        values.extend([shape as f64 + 1.0, 0.5 + 0.1 * scale as f64, position as f64]);
    }
    let factors = Factors::new(&names, &levels, Some(&values)).expect("levels");
    Dataset { factors, ..data(12) }
}

fn faces() -> Dataset {
    let values = Tensor::from_slice(&[1_u8, 0, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0]).view([6, 3]);
    let names = ["glasses", "smiling", "sad"].map(str::to_owned).to_vec();
    Dataset { attributes: Some(Attributes { names, values }), ..data(6) }
}

fn has(data: &Dataset, name: &str) -> Vec<i64> {
    Vec::try_from(Attribute::named(data, name).expect(name).has).expect("Int64")
}

#[test]
fn levels_of_factors_are_attributes_and_shapes_have_names() {
    let data = sprites();
    assert_eq!(has(&data, "shape=heart"), [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
    assert_eq!(has(&data, "shape=0"), has(&data, "shape=square"));
    assert_eq!(has(&data, "scale=1..3"), [0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1]);
    assert_eq!(has(&data, "position_x=1"), [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    assert_eq!(usual(&data, 8), ["shape=heart"]);
    assert_eq!(listing(&data), "shape=square, shape=heart, scale=0, scale=1, scale=2, position_x=0, position_x=1");
}

#[test]
fn columns_and_labels_are_attributes() {
    assert_eq!(has(&faces(), "smiling"), [0, 1, 0, 0, 1, 0]);
    assert_eq!(usual(&faces(), 2), ["glasses", "smiling"]);
    let digits = Dataset { labels: Some(Tensor::from_slice(&[7_i64, 1, 7, 3])), ..data(4) };
    assert_eq!(has(&digits, "label=7"), [1, 0, 1, 0]);
    assert_eq!(usual(&digits, 8), ["label=1", "label=3", "label=7"]);
}

#[test]
fn what_is_no_attribute_is_refused_with_what_there_is() {
    let refused = |data: &Dataset, name: &str| Attribute::named(data, name).expect_err(name);
    assert_eq!(refused(&faces(), "hat"), "expected an attribute of some: glasses, smiling, sad; got \"hat\"");
    for name in ["", "=", "shape", "shape=star", "label=1", "size=3", "heart"] {
        let line = refused(&sprites(), name);
        assert!(line.contains("shape") && !line.contains('\n'), "{name}: {line}");
    }
    assert_eq!(refused(&sprites(), "scale=3"), "scale: expected levels from 0 to 2, got 3");
    assert_eq!(
        refused(&sprites(), "scale=0..3"),
        "expected an attribute that some images have, got \"scale=0..3\", which every image has"
    );
    let digits = Dataset { labels: Some(Tensor::from_slice(&[7_i64, 1])), ..data(2) };
    assert_eq!(
        refused(&digits, "label=4"),
        "expected an attribute that some images have, got \"label=4\", which no image has"
    );
    assert!(listing(&data(3)).is_empty() && usual(&data(3), 8).is_empty());
}

/// Beside shape there are 2 columns of scale and 1 of position. Beside open eyes the head may be turned or not; closed is never with open,
/// and says nothing that open does not.
#[test]
fn the_others_are_what_may_differ_while_the_attribute_does_not() {
    let data = sprites();
    let rows = Tensor::arange(12, (Kind::Int64, tch::Device::Cpu));
    let others = Attribute::named(&data, "shape=heart").expect("a shape").others(&data, &rows);
    assert_eq!((others.size(), others.kind()), (vec![12, 3], Kind::Double));
    assert_eq!(others.select(1, 2), Tensor::from_slice(&[0.0, 1.0].repeat(6)));

    let values = Tensor::from_slice(&[1_u8, 0, 1, 1, 0, 0, 0, 1, 1, 0, 1, 0]).view([4, 3]);
    let names = ["open", "closed", "left"].map(str::to_owned).to_vec();
    let eyes = Dataset { attributes: Some(Attributes { names, values }), ..self::data(4) };
    let rows = Tensor::arange(4, (Kind::Int64, tch::Device::Cpu));
    let others = Attribute::named(&eyes, "open").expect("a column").others(&eyes, &rows);
    assert_eq!(others, Tensor::from_slice(&[1.0, 0.0, 1.0, 0.0]).view([4, 1]));
}
