//! The header and the elements of an `.npy` array.
//!
//! Only plain arrays in C order: integers, booleans, floats and fixed-width strings. The header is a Python dictionary of three known
//! entries; it is read by a parser of exactly that, of bounded length and no recursion, because files come from anywhere.

use std::io::{self, Read};

/// Longest header accepted. `NumPy`'s own default limit is 10 000.
const MAX_HEADER: u32 = 1 << 16;
/// Most dimensions accepted.
const MAX_DIMENSIONS: usize = 8;

/// What an array holds, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NpyHeader {
    pub(crate) element: Element,
    pub(crate) shape: Vec<u64>,
    /// Bytes before the data.
    pub(crate) header_bytes: u64,
}

/// Kind, width and byte order of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) kind: ElementKind,
    /// Bytes of one element (of one character, times their number, for text).
    pub(crate) width: usize,
    big_endian: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ElementKind {
    Bool,
    Signed,
    Unsigned,
    Float,
    /// UCS-4.
    Text,
    /// One byte a character.
    Bytes,
}

/// Why a header cannot be had.
#[derive(Debug)]
pub(crate) enum HeaderError {
    Io(io::Error),
    /// What was expected and what was found.
    Problem(String),
}

impl From<io::Error> for HeaderError {
    fn from(cause: io::Error) -> Self {
        Self::Io(cause)
    }
}

impl NpyHeader {
    /// Reads up to the first byte of the data.
    pub(crate) fn read(reader: &mut dyn Read) -> Result<Self, HeaderError> {
        let mut start = [0; 8];
        reader.read_exact(&mut start)?;
        let (magic, version) = start.split_at(6);
        let wide = match (magic, version) {
            (b"\x93NUMPY", [1, 0]) => false,
            (b"\x93NUMPY", [2 | 3, 0]) => true,
            (b"\x93NUMPY", _) => {
                return Err(HeaderError::Problem(format!("expected npy version 1, 2 or 3, got {version:?}")));
            }
            _ => return Err(HeaderError::Problem("expected an npy array, which begins \\x93NUMPY".to_owned())),
        };
        let mut length = [0; 4];
        reader.read_exact(&mut length[..if wide { 4 } else { 2 }])?;
        let length = u32::from_le_bytes(length);
        if length > MAX_HEADER {
            return Err(HeaderError::Problem(format!(
                "expected an npy header of at most {MAX_HEADER} bytes, got {length}"
            )));
        }
        let mut text = vec![0; length as usize];
        reader.read_exact(&mut text)?;
        let header_bytes = u64::from(length) + if wide { 12 } else { 10 };
        let text = std::str::from_utf8(&text)
            .map_err(|_| HeaderError::Problem("expected an npy header of text".to_owned()))?;
        let (element, shape) = parse(text).map_err(HeaderError::Problem)?;
        Ok(Self { element, shape, header_bytes })
    }

    /// Bytes of the data, unless that is more than fits a number.
    pub(crate) fn data_bytes(&self) -> Option<u64> {
        self.shape.iter().try_fold(self.element.width as u64, |product, &size| product.checked_mul(size))
    }

    /// Bytes of one row: of everything but the first dimension.
    pub(crate) fn row_bytes(&self) -> Option<u64> {
        let sizes = self.shape.get(1..).unwrap_or_default();
        sizes.iter().try_fold(self.element.width as u64, |product, &size| product.checked_mul(size))
    }
}

impl Element {
    /// The number that these bytes stand for. 64-bit integers beyond 2⁵³ are rounded.
    pub(crate) fn number(self, bytes: &[u8]) -> f64 {
        let mut wide = [0; 8];
        for (position, &byte) in bytes.iter().enumerate() {
            wide[if self.big_endian { bytes.len() - 1 - position } else { position }] = byte;
        }
        let bits = u64::from_le_bytes(wide);
        match (self.kind, self.width) {
            (ElementKind::Float, 8) => f64::from_bits(bits),
            (ElementKind::Float, 4) => f64::from(f32::from_bits(bits as u32)),
            (ElementKind::Float, _) => half(bits as u16),
            (ElementKind::Bool, _) => f64::from(u8::from(bits != 0)),
            _ => self.integer(bytes).map_or(f64::INFINITY, |integer| integer as f64),
        }
    }

    /// The integer that these bytes stand for, if the array holds integers or booleans and it fits.
    pub(crate) fn integer(self, bytes: &[u8]) -> Option<i64> {
        let mut wide = [0; 8];
        for (position, &byte) in bytes.iter().enumerate() {
            wide[if self.big_endian { bytes.len() - 1 - position } else { position }] = byte;
        }
        let bits = u64::from_le_bytes(wide);
        let unused = 64 - 8 * self.width as u32;
        match self.kind {
            ElementKind::Bool => Some(i64::from(bits != 0)),
            ElementKind::Unsigned => i64::try_from(bits).ok(),
            ElementKind::Signed => Some((bits << unused).cast_signed() >> unused),
            _ => None,
        }
    }

    /// The text that these bytes stand for, without the zeros that fill it up.
    pub(crate) fn text(self, bytes: &[u8]) -> Option<String> {
        let text: Option<String> = match self.kind {
            ElementKind::Bytes => Some(bytes.iter().map(|&byte| char::from(byte)).collect()),
            ElementKind::Text => bytes
                .chunks_exact(4)
                .map(|unit| {
                    let unit = [unit[0], unit[1], unit[2], unit[3]];
                    char::from_u32(if self.big_endian { u32::from_be_bytes(unit) } else { u32::from_le_bytes(unit) })
                })
                .collect(),
            _ => None,
        };
        text.map(|text| text.trim_end_matches('\0').to_owned())
    }

    fn parse(text: &str) -> Result<Self, String> {
        let refuse = || format!("expected an array of integers, booleans, floats or text, got dtype '{text}'");
        let mut rest = text;
        let big_endian = rest.starts_with('>');
        rest = rest.strip_prefix(['<', '>', '|', '=']).unwrap_or(rest);
        let mut characters = rest.chars();
        let letter = characters.next().ok_or_else(refuse)?;
        let count: usize = characters.as_str().parse().map_err(|_| refuse())?;
        let (kind, width) = match (letter, count) {
            ('b', 1) => (ElementKind::Bool, 1),
            ('i', 1 | 2 | 4 | 8) => (ElementKind::Signed, count),
            ('u', 1 | 2 | 4 | 8) => (ElementKind::Unsigned, count),
            ('f', 2 | 4 | 8) => (ElementKind::Float, count),
            ('U', 1..=4096) => (ElementKind::Text, 4 * count),
            ('S', 1..=4096) => (ElementKind::Bytes, count),
            _ => return Err(refuse()),
        };
        Ok(Self { kind, width, big_endian })
    }
}

fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2_f64.powi(exponent - 15),
    }
}

/// `{'descr': '|u1', 'fortran_order': False, 'shape': (3, 4), }`
fn parse(text: &str) -> Result<(Element, Vec<u64>), String> {
    let mut parser = Parser { rest: text };
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    parser.expect('{')?;
    while !parser.take('}') {
        let key = parser.string()?;
        parser.expect(':')?;
        match key {
            "descr" => descr = Some(Element::parse(parser.string()?)?),
            "fortran_order" => fortran = Some(parser.boolean()?),
            "shape" => shape = Some(parser.sizes()?),
            _ => return Err(format!("expected descr, fortran_order and shape in the npy header, got '{key}'")),
        }
        if !parser.take(',') {
            parser.expect('}')?;
            break;
        }
    }
    match (descr, fortran, shape) {
        (Some(element), Some(false), Some(shape)) => Ok((element, shape)),
        (Some(_), Some(true), Some(_)) => {
            Err("expected an array in C order, got Fortran order: save it through numpy.ascontiguousarray".to_owned())
        }
        _ => Err("expected descr, fortran_order and shape in the npy header".to_owned()),
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn take(&mut self, character: char) -> bool {
        self.rest = self.rest.trim_start();
        let stripped = self.rest.strip_prefix(character);
        self.rest = stripped.unwrap_or(self.rest);
        stripped.is_some()
    }

    fn expect(&mut self, character: char) -> Result<(), String> {
        if self.take(character) {
            return Ok(());
        }
        let got: String = self.rest.chars().take(12).collect();
        Err(format!("expected '{character}' in the npy header, got {got:?}"))
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let quote = if self.take('\'') { '\'' } else { '"' };
        if quote == '"' && !self.take('"') {
            return Err("expected a plain array, got an npy header without a string where one belongs".to_owned());
        }
        let (text, rest) = self.rest.split_once(quote).ok_or("expected a closed string in the npy header")?;
        self.rest = rest;
        Ok(text)
    }

    fn boolean(&mut self) -> Result<bool, String> {
        self.rest = self.rest.trim_start();
        for (word, value) in [("False", false), ("True", true)] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Ok(value);
            }
        }
        Err("expected True or False for fortran_order in the npy header".to_owned())
    }

    fn sizes(&mut self) -> Result<Vec<u64>, String> {
        let mut sizes = Vec::new();
        self.expect('(')?;
        while !self.take(')') {
            self.rest = self.rest.trim_start();
            let digits = self.rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(self.rest.len());
            let (number, rest) = self.rest.split_at(digits);
            let size = number.parse().ok().filter(|&size| i64::try_from(size).is_ok());
            sizes.push(size.ok_or_else(|| format!("expected sizes in the npy header, got {number:?}"))?);
            self.rest = rest;
            if sizes.len() > MAX_DIMENSIONS {
                return Err(format!("expected at most {MAX_DIMENSIONS} dimensions in the npy header"));
            }
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(sizes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_as_numpy_writes_them() {
        let parsed = parse("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }").unwrap();
        assert_eq!(parsed.0, Element { kind: ElementKind::Float, width: 4, big_endian: false });
        assert_eq!(parsed.1, [3, 4]);
        assert_eq!(parse("{'descr': '|b1', 'fortran_order': False, 'shape': (7,), }").unwrap().1, [7]);
        assert_eq!(parse("{'shape': (), 'fortran_order': False, 'descr': '>i2'}").unwrap().1, [0_u64; 0]);
        let width = parse("{'descr': '<U11', 'fortran_order': False, 'shape': (6,)}").unwrap().0.width;
        assert_eq!(width, 44);
    }

    #[test]
    fn what_is_no_plain_array_is_refused_by_name() {
        let cases = [
            ("{'descr': '|O', 'fortran_order': False, 'shape': ()}", "dtype '|O'"),
            ("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': ()}", "expected a plain array"),
            ("{'descr': '<f8', 'fortran_order': True, 'shape': (2, 2)}", "Fortran order"),
            ("{'descr': '<f8', 'fortran_order': 1, 'shape': (2, 2)}", "True or False"),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}", "expected sizes"),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}", "expected sizes"),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", "at most 8 dimensions"),
            ("{'descr': '<f8', 'fortran_order': False}", "expected descr, fortran_order and shape"),
            ("{'descr': '<f16', 'fortran_order': False, 'shape': (1,)}", "dtype '<f16'"),
            ("", "expected '{'"),
            ("{'descr", "closed string"),
        ];
        for (text, expected) in cases {
            let message = parse(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn elements_of_every_width_and_order() {
        let number = |dtype: &str, bytes: &[u8]| Element::parse(dtype).unwrap().number(bytes);
        let integer = |dtype: &str, bytes: &[u8]| Element::parse(dtype).unwrap().integer(bytes);
        assert_eq!(integer("|i1", &[0xff]), Some(-1));
        assert_eq!(integer("|u1", &[0xff]), Some(255));
        assert_eq!(integer("<i2", &[0xfe, 0xff]), Some(-2));
        assert_eq!(integer(">i4", &[0, 0, 1, 2]), Some(258));
        assert_eq!(integer("<i8", &(-5_i64).to_le_bytes()), Some(-5));
        assert_eq!(integer("<u8", &u64::MAX.to_le_bytes()), None);
        assert_eq!(integer("<f4", &[0; 4]), None);
        let exact = |value: f64, expected: f64| assert_eq!(value.to_bits(), expected.to_bits());
        exact(number("<f4", &1.5_f32.to_le_bytes()), 1.5);
        exact(number(">f8", &(-0.1_f64).to_be_bytes()), -0.1);
        exact(number("<f2", &[0x00, 0x3c]), 1.0);
        exact(number("<f2", &[0x01, 0x00]), 2_f64.powi(-24));
        assert!(number("<f2", &[0x01, 0x7c]).is_nan());
        let text = Element::parse("<U3").unwrap();
        let bytes: Vec<u8> = ['a', 'é', '\0'].iter().flat_map(|&c| u32::from(c).to_le_bytes()).collect();
        assert_eq!(text.text(&bytes).as_deref(), Some("aé"));
        assert_eq!(text.text(&[0xff; 12]), None);
    }
}
