//! Tables of yes-or-no attributes: CSV with a header, and `CelebA`'s `list_attr_celeba.txt`.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use tch::Tensor;

use crate::dataset::Attributes;
use crate::error::DataError;

/// Largest table read, in bytes.
const MAX_BYTES: u64 = 1 << 28;

/// A table as read: one row for each picture.
#[derive(Debug)]
pub(crate) struct AttributeTable {
    path: PathBuf,
    names: Vec<String>,
    /// What the first column says: a file's name or a running number.
    keys: Vec<String>,
    /// Row by row, 0 or 1.
    values: Vec<u8>,
}

impl AttributeTable {
    /// Reads a table. In CSV the first column is the key and every other column that holds nothing but 0, 1 and −1 is an attribute
    /// (−1 counts as 0); the rest is passed over. `CelebA`'s list has the number of pictures in its first line, the names in the second, and
    /// then rows between spaces.
    pub(crate) fn read(path: &Path) -> Result<Self, DataError> {
        let wrap = |cause| DataError::read(path, cause);
        let mut text = String::new();
        let read = File::open(path).map_err(wrap)?.take(MAX_BYTES + 1).read_to_string(&mut text);
        match read {
            Err(cause) if cause.kind() == std::io::ErrorKind::InvalidData => {
                return Err(DataError::damaged(path, "expected text in UTF-8"));
            }
            other => other.map_err(wrap)?,
        };
        if text.len() as u64 > MAX_BYTES {
            return Err(DataError::damaged(path, format!("expected a table of at most {MAX_BYTES} bytes")));
        }
        let first = text.lines().next().unwrap_or_default().trim();
        let (header, rows) = if first.parse::<u64>().is_ok() { celeba(&text) } else { comma_separated(&text) }
            .map_err(|problem| DataError::damaged(path, problem))?;
        Self::from_cells(path, &header, &rows)
    }

    fn from_cells(path: &Path, header: &[String], rows: &[Vec<String>]) -> Result<Self, DataError> {
        if rows.is_empty() {
            return Err(DataError::damaged(path, "expected a header and at least one row"));
        }
        let binary = |column: &usize| rows.iter().all(|row| matches!(row[*column].as_str(), "0" | "1" | "-1"));
        let columns: Vec<usize> = (1..header.len()).filter(binary).collect();
        if columns.is_empty() {
            return Err(DataError::damaged(path, "expected a column of 0, 1 and -1 behind the first one, got none"));
        }
        let cell = |row: &Vec<String>, column: &usize| u8::from(row[*column] == "1");
        Ok(Self {
            path: path.to_owned(),
            values: rows.iter().flat_map(|row| columns.iter().map(move |column| cell(row, column))).collect(),
            keys: rows.iter().map(|row| row[0].clone()).collect(),
            names: columns.iter().map(|&column| header[column].clone()).collect(),
        })
    }

    /// For images that are numbered: row `n` belongs to image `n`. A first column of whole numbers must count from 0.
    pub(crate) fn in_order(self, images: i64) -> Result<Attributes, DataError> {
        let rows = self.keys.len();
        if rows as i64 != images {
            return Err(DataError::damaged(
                &self.path,
                format!("expected {images} rows, one for each image, got {rows}"),
            ));
        }
        let numbers: Option<Vec<usize>> = self.keys.iter().map(|key| key.parse().ok()).collect();
        if let Some((row, number)) = numbers.into_iter().flatten().enumerate().find(|(row, number)| row != number) {
            return Err(DataError::damaged(
                &self.path,
                format!("expected rows in the images' order, got {number} in row {row}"),
            ));
        }
        let size = [images, self.names.len() as i64];
        Ok(Attributes { values: Tensor::from_slice(&self.values).view(size), names: self.names })
    }

    /// For images that are files: the row whose first column is the file's name.
    pub(crate) fn by_name(self, files: &[String]) -> Result<Attributes, DataError> {
        let width = self.names.len();
        let rows: HashMap<&str, usize> = self.keys.iter().enumerate().map(|(row, key)| (key.as_str(), row)).collect();
        let mut values = Vec::with_capacity(files.len() * width);
        for file in files {
            let Some(row) = rows.get(file.as_str()) else {
                return Err(DataError::damaged(&self.path, format!("expected a row for {file}, got none")));
            };
            values.extend_from_slice(&self.values[row * width..(row + 1) * width]);
        }
        let size = [files.len() as i64, width as i64];
        Ok(Attributes { values: Tensor::from_slice(&values).view(size), names: self.names })
    }
}

type Cells = (Vec<String>, Vec<Vec<String>>);

fn comma_separated(text: &str) -> Result<Cells, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let cells = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
    let header = cells(reader.headers().map_err(|error| error.to_string())?);
    let rows = reader.records().map(|record| record.map(|record| cells(&record)).map_err(|error| error.to_string()));
    Ok((header, rows.collect::<Result<_, _>>()?))
}

fn celeba(text: &str) -> Result<Cells, String> {
    let mut lines = text.lines();
    let promised = lines.next().unwrap_or_default().trim();
    let names = lines.next().unwrap_or_default().split_whitespace().map(str::to_owned);
    let header: Vec<String> = std::iter::once("file".to_owned()).chain(names).collect();
    let mut rows = Vec::new();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let row: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        if row.len() != header.len() {
            let (number, expected, got) = (rows.len() + 3, header.len(), row.len());
            return Err(format!("expected a name and {} values in line {number}, got {got} entries", expected - 1));
        }
        rows.push(row);
    }
    if rows.len().to_string() != promised {
        return Err(format!("expected {promised} rows, as its first line says, got {}", rows.len()));
    }
    Ok((header, rows))
}
