//! Writes the seeds of the fuzz targets that are missing in `fuzz/seeds`. To make one anew, remove it; what fuzzing found (`found-…`) stays.

use elbo_tests::readers::seeds;
use std::fs;

fn main() -> std::io::Result<()> {
    elbo_native::initialise();
    for (reader, name, bytes) in seeds::all() {
        let folder = seeds::folder().join(reader);
        fs::create_dir_all(&folder)?;
        if !folder.join(name).exists() {
            fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(())
}
