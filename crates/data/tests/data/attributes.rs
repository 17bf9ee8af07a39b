//! Tables of attributes beside images.

use std::fs;
use std::path::Path;

use elbo_data::{Attributes, DataConfig, Source};
use elbo_native::testing::single_thread;

use crate::setting::{at, idx, integers, load};

/// Three images and a table beside them.
fn with_table(table: &str) -> Result<Attributes, String> {
    single_thread();
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    let path = folder.path().join("table.csv");
    fs::write(&images, idx(&[3, 1, 1], &[1, 2, 3])).unwrap();
    fs::write(&path, table).unwrap();
    let config = DataConfig { attributes: Some(path.clone()), ..at(Source::Idx, &images) };
    match load(&config) {
        Ok(data) => Ok(data.train.attributes.unwrap()),
        Err(error) => Err(error.to_string().replace(&Path::display(&path).to_string(), "table")),
    }
}

#[test]
fn columns_of_zeros_and_ones_are_attributes_and_text_is_passed_over() {
    let table = "index, who, hat, smile\n0, ann, 1, -1\n1, bob, 0, 1\n2, cid, 1, 1\n";
    let attributes = with_table(table).unwrap();
    assert_eq!(attributes.names, ["hat", "smile"]);
    assert_eq!(integers(&attributes.values), [1, 0, 0, 1, 1, 1]);
}

#[test]
fn celebas_list_is_read() {
    let attributes = with_table("3\nhat smile\n000001.jpg  1 -1\n000002.jpg -1  1\n000003.jpg  1  1\n").unwrap();
    assert_eq!(attributes.names, ["hat", "smile"]);
    assert_eq!(integers(&attributes.values), [1, 0, 0, 1, 1, 1]);
}

#[test]
fn tables_that_do_not_fit_are_refused_in_words() {
    for (table, expected) in [
        ("", "table: expected a header and at least one row"),
        ("index,hat\n", "table: expected a header and at least one row"),
        ("index,who\n0,ann\n1,bob\n2,cid\n", "table: expected a column of 0, 1 and -1 behind the first one, got none"),
        ("index,hat\n0,1\n1,0\n", "table: expected 3 rows, one for each image, got 2"),
        ("index,hat\n0,1\n2,0\n1,0\n", "table: expected rows in the images' order, got 2 in row 1"),
        ("index,hat\n0,1\n1\n2,0\n", "table: CSV error: record 2 (line: 3, byte: 14): found record with 1 fields"),
        ("4\nhat\na 1\nb 1\nc 1\n", "table: expected 4 rows, as its first line says, got 3"),
        ("3\nhat smile\na 1 1\nb 1\nc 1 1\n", "table: expected a name and 2 values in line 4, got 2 entries"),
        ("0\n", "table: expected a header and at least one row"),
    ] {
        let message = with_table(table).unwrap_err();
        assert!(message.starts_with(expected), "{table:?}: {message}");
    }
}
