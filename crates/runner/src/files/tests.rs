use super::*;
use tempfile::tempdir;

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_replaced_as_a_whole() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("summary.json");
    write_atomically(&path, b"a long first content").unwrap();
    write_atomically(&path, b"short").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"short");
    assert_eq!(names(directory.path()), ["summary.json"]);
}

#[test]
fn content_that_fails_half_way_leaves_the_old_file_and_nothing_else() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("summary.json");
    write_atomically(&path, b"old").unwrap();
    let error = write_atomically_with(&path, |file| {
        file.write_all(b"half")?;
        Err(io::Error::other("no more"))
    })
    .unwrap_err();
    assert_eq!(error.to_string(), format!("{}: cannot be written: no more", path.display()));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(directory.path()), ["summary.json"]);
}

/// Root may write anywhere, so "unwritable" is a folder that is missing and one that is a file.
#[test]
fn a_folder_that_cannot_be_written_is_an_error_that_names_the_file() {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    for folder in ["missing", "file"] {
        let path = directory.path().join(folder).join("summary.json");
        let message = write_atomically(&path, b"x").unwrap_err().to_string();
        assert!(message.starts_with(&format!("{}: cannot be written: ", path.display())), "{message}");
        assert!(AppendFile::create_new(&path).unwrap_err().to_string().contains(&path.display().to_string()));
    }
    assert!(write_atomically(Path::new("/"), b"x").unwrap_err().to_string().starts_with("/: cannot be written"));
    assert_eq!(names(directory.path()), ["file"]);
}

/// No process has the number 4294967295; process 1 runs wherever there are processes.
#[test]
fn leftovers_of_dead_processes_and_of_this_one_are_removed_and_no_others() {
    let directory = tempdir().unwrap();
    let own = format!(".b.json.tmp-{}-0", process::id());
    let removed = [".a.json.tmp-4294967295-0", own.as_str()];
    let kept = [
        ".a.json.tmp-1-0",
        ".hidden",
        ".tmp-4294967295-0",
        "a.json.tmp-4294967295-0",
        ".a.tmp-x-1",
        ".a.tmp-4294967295",
    ];
    for name in removed.iter().chain(&kept) {
        fs::write(directory.path().join(name), "").unwrap();
    }
    assert_eq!(remove_leftovers(directory.path()).unwrap(), removed.len());
    let mut kept = kept.to_vec();
    kept.sort_unstable();
    assert_eq!(names(directory.path()), kept);
}

#[test]
fn an_appended_file_continues_where_it_ended() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("log");
    let mut file = AppendFile::create_new(&path).unwrap();
    file.push(b"one ");
    assert_eq!((file.pending(), fs::read(&path).unwrap().len()), (4, 0));
    file.commit().unwrap();
    file.push(b"two ");
    drop(file);
    assert_eq!(AppendFile::create_new(&path).unwrap_err().reason.kind(), io::ErrorKind::AlreadyExists);
    let mut file = AppendFile::open(&path).unwrap();
    file.push(b"three");
    file.sync().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"one two three");
}

/// `/dev/full` is a disk without room.
#[test]
fn a_full_disk_is_an_error_and_the_bytes_go_on_waiting() {
    let mut file = AppendFile::open(Path::new("/dev/full")).unwrap();
    file.push(b"bytes");
    for _ in 0..2 {
        let message = file.commit().unwrap_err().to_string();
        assert!(message.starts_with("/dev/full: cannot be written: No space left on device"), "{message}");
        assert_eq!(file.pending(), 5);
    }
}

/// The disk is played by a handle that may only read, and then by one that may write.
#[test]
fn after_a_failed_commit_the_next_one_leaves_neither_gap_nor_torn_piece() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("log");
    let mut file = AppendFile::create_new(&path).unwrap();
    file.push(b"one ");
    file.commit().unwrap();
    let writable = std::mem::replace(&mut file.file, File::open(&path).unwrap());
    file.push(b"two ");
    file.commit().unwrap_err();
    // Part of the piece did reach the disk.
    writable.write_all_at(b"tw", 4).unwrap();
    file.file = writable;
    file.push(b"three");
    file.commit().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"one two three");
}
