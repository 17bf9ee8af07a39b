//! Faults of disks: full, or not to be written.

use super::{Bench, Verdict, all_whole, one_line, same, succeed};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system of its own, gone with the value.
struct Disk(PathBuf);

impl Disk {
    fn new(path: PathBuf, kilobytes: u64) -> Result<Self, String> {
        fs::create_dir_all(&path).map_err(|error| error.to_string())?;
        mount(&["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"], &path)?;
        Ok(Self(path))
    }

    fn remount(&self, options: &str) -> Result<(), String> {
        mount(&["-o", &format!("remount,{options}")], &self.0)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str], path: &Path) -> Result<(), String> {
    let output = Command::new("mount").args(arguments).arg(path).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("not run: it needs to mount a tmpfs, as root: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// Disks that are full at another moment each, from the first byte to a little before the end: one line, every checkpoint whole, and with
/// more room the same end. Once with checkpoints often, once with pictures and curves often, so that each of them meets the end of the disk.
pub(super) fn full(bench: &Bench) -> Verdict {
    let (mut disks, mut failed, mut writers) = (0, 0, BTreeSet::new());
    for (name, changes) in [
        ("full", &[][..]),
        (
            "full-reports",
            &["--set", "train.checkpoint_every=0", "--set", "train.images_every=10", "--set", "train.log_every=1"],
        ),
    ] {
        let config = bench.configuration(name, 120);
        let undisturbed = bench.path(&format!("{name}-undisturbed"));
        succeed(bench.command(&config, &undisturbed).args(changes))?;
        let expected = super::end(&undisturbed)?;
        let needed = sizes(&undisturbed) / 1024;
        for part in 1..=20 {
            let disk = Disk::new(bench.path("full-disk"), (needed * part / 20).max(4))?;
            let run = disk.0.join("run");
            let output = bench.command(&config, &run).args(changes).output().map_err(|error| error.to_string())?;
            disks += 1;
            if !output.status.success() {
                let line = one_line(&output, 2)?;
                if !line.contains("No space left on device") {
                    return Err(line);
                }
                let words = ["checkpoints/", "events.out", "metrics.csv", "images/", "config.json", "summary.json"];
                writers.insert(words.into_iter().find(|word| line.contains(word)).unwrap_or("the directory itself"));
                failed += 1;
            }
            all_whole(&run)?;
            disk.remount("size=512M")?;
            succeed(bench.command(&config, &run).args(changes))?;
            same(&run, &expected)?;
        }
    }
    let writers: Vec<&str> = writers.into_iter().collect();
    Ok(format!(
        "{disks} disks, {failed} too small, noticed while writing {}; the same end after more room",
        writers.join(", ")
    ))
}

fn sizes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(
            |entry| {
                if entry.path().is_dir() { sizes(&entry.path()) } else { entry.metadata().map_or(0, |data| data.len()) }
            },
        )
        .sum()
}

/// A directory that can be read and not written: nothing starts, nothing goes on, nothing changes.
pub(super) fn read_only(bench: &Bench) -> Verdict {
    let config = bench.configuration("read-only", 40);
    let disk = Disk::new(bench.path("read-only-disk"), 65_536)?;
    let run = disk.0.join("run");
    succeed(bench.command(&config, &run).args(["--set", "train.steps=20"]))?;
    disk.remount("ro")?;
    let mut tried = 0;
    for run in [run.clone(), disk.0.join("another")] {
        let output = bench.command(&config, &run).output().map_err(|error| error.to_string())?;
        let line = one_line(&output, 2)?;
        if !line.contains("cannot be written") || !line.contains("Read-only file system") {
            return Err(line);
        }
        tried += 1;
    }
    disk.remount("rw")?;
    succeed(&mut bench.command(&config, &run))?;
    Ok(format!("{tried} runs refused in one line; the one that was there goes on once it can be written"))
}
