//! What an archive says twice has to agree: a checksum covers each array, and none covers the directory, which names them and counts them.
//!
//! A bit lost there would make an array another one, or none at all, and what is not there is not asked for: a data set without its factors.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use zip::ZipArchive;
use zip::result::ZipError;

/// Bytes of a local header before the name, and where the length of the name is.
const LOCAL: u64 = 30;
const LOCAL_NAME: usize = 26;
/// Bytes of the directory's entry before the name, and where the lengths of name, extra field and comment are.
const CENTRAL: u64 = 46;
const CENTRAL_LENGTHS: [usize; 3] = [28, 30, 32];

/// Every array has the same name in the directory and before its data, and the directory ends with the last of them. `file` is the
/// archive's.
pub(super) fn check(file: &File, zip: &mut ZipArchive<File>) -> Result<(), ZipError> {
    let mut last = None;
    for index in 0..zip.len() {
        let entry = zip.by_index_raw(index)?;
        let local: [u8; LOCAL as usize] = read(file, entry.header_start())?;
        let mut name = vec![0; usize::from(u16::from_le_bytes([local[LOCAL_NAME], local[LOCAL_NAME + 1]]))];
        file.read_exact_at(&mut name, entry.header_start().saturating_add(LOCAL))?;
        if name != entry.name_raw() {
            return Err(ZipError::InvalidArchive(
                "an array with one name in the directory and another before its data",
            ));
        }
        last = last.max(Some(entry.central_header_start()));
    }
    let Some(last) = last else { return Ok(()) };
    let central: [u8; CENTRAL as usize] = read(file, last)?;
    let lengths = CENTRAL_LENGTHS.map(|at| u64::from(u16::from_le_bytes([central[at], central[at + 1]])));
    let end: [u8; 4] = read(file, last.saturating_add(CENTRAL + lengths.iter().sum::<u64>()))?;
    match &end {
        b"PK\x05\x06" | b"PK\x06\x06" => Ok(()),
        _ => Err(ZipError::InvalidArchive("a directory that counts fewer arrays than it has")),
    }
}

fn read<const N: usize>(file: &File, offset: u64) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}
