//! The packed full grid on disk.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use super::{COUNT, Grid, IMAGE_BYTES, verify};
use crate::error::DataError;
use crate::files::{write_beside, zeros};

/// Name of the cache file; its number belongs to the layout, the rest to the content.
pub const CACHE_NAME: &str = "sprites-v1-3a228f4037ef.bits";

/// The packed images of `grid`: of the full grid from the cache file in `folder`, where there is a sound one, else rendered
/// (and the full grid left in `folder` for the next time). A damaged cache file is rendered anew, with a warning to `progress`; a
/// folder that cannot be written is said once there and costs only time.
///
/// # Errors
/// Those of [`Grid::render`].
pub fn load(grid: &Grid, folder: Option<&Path>, progress: &mut dyn FnMut(&str)) -> Result<Vec<u8>, DataError> {
    let Some(folder) = folder.filter(|_| grid.is_full()) else {
        return rendered(grid, progress);
    };
    let path = folder.join(CACHE_NAME);
    match read(&path) {
        Ok(Some(packed)) => return Ok(packed),
        Ok(None) => {}
        Err(error) => progress(&format!("warning: {error}; rendering again")),
    }
    let packed = rendered(grid, progress)?;
    if let Err(error) = write(&path, &packed) {
        progress(&format!("warning: {error}; going on without a cache"));
    }
    Ok(packed)
}

fn rendered(grid: &Grid, progress: &mut dyn FnMut(&str)) -> Result<Vec<u8>, DataError> {
    progress(&format!("rendering {} dSprites images", grid.len()));
    grid.render()
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, DataError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(DataError::read(path, cause)),
    };
    let found = file.metadata().map_err(|cause| DataError::read(path, cause))?.len();
    let expected = COUNT * IMAGE_BYTES;
    if found != expected as u64 {
        return Err(DataError::damaged(path, format!("damaged cache: expected {expected} bytes, got {found}")));
    }
    let mut packed = zeros(expected)?;
    file.read_exact(&mut packed).map_err(|cause| DataError::content(path, cause))?;
    verify(&packed).map_err(|what| DataError::damaged(path, format!("damaged cache: {what}")))?;
    Ok(Some(packed))
}

fn write(path: &Path, packed: &[u8]) -> Result<(), DataError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|cause| DataError::write(folder, cause))?;
    }
    write_beside(path, |file| file.write_all(packed).map_err(|cause| DataError::write(path, cause)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test for all, because each full grid is 377 MB: made, read back, damaged, cut short, in a folder that is none.
    #[test]
    fn the_cache_is_written_read_back_and_rebuilt_when_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("made").join("here");
        let path = cache.join(CACHE_NAME);
        let grid = Grid::full();
        let mut messages = Vec::new();
        let load = |folder: &Path, messages: &mut Vec<String>| {
            messages.clear();
            load(&grid, Some(folder), &mut |message| messages.push(message.to_owned())).unwrap()
        };

        let packed = load(&cache, &mut messages);
        assert_eq!(messages, ["rendering 737280 dSprites images"]);
        assert!(load(&cache, &mut messages) == packed && messages.is_empty(), "{messages:?}");

        let mut file = File::options().write(true).open(&path).unwrap();
        file.write_all(&[1]).unwrap();
        drop(file);
        assert!(load(&cache, &mut messages) == packed);
        assert!(messages[0].contains("damaged cache: shape 0, scale 0: expected CRC-32 3231408c, got"), "{messages:?}");
        assert!(load(&cache, &mut messages) == packed && messages.is_empty(), "{messages:?}");

        File::options().write(true).open(&path).unwrap().set_len(1000).unwrap();
        assert!(load(&cache, &mut messages) == packed);
        assert!(messages[0].ends_with("expected 377487360 bytes, got 1000; rendering again"), "{messages:?}");

        let no_folder = folder.path().join("file");
        std::fs::write(&no_folder, "").unwrap();
        assert!(load(&no_folder, &mut messages) == packed);
        let last = messages.last().unwrap();
        assert!(last.starts_with("warning: ") && last.ends_with("going on without a cache"), "{messages:?}");
        assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 1, "nothing is left beside the cache file");
    }
}
