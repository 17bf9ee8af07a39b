//! What every binary says of itself: help with all its parts, its version, completions that shells take.

mod common;

use common::{binary, program};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The names of all binaries, from their sources.
fn names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin");
    let stem = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("a file").path();
        path.file_stem().and_then(|stem| stem.to_str()).expect("a plain name").to_owned()
    };
    fs::read_dir(folder).expect("binaries").map(stem).collect()
}

fn said(name: &str, arguments: &[&str]) -> String {
    let output = binary(name).args(arguments).output().expect("started");
    assert!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// bash reads the script without a word, has a completion for the binary afterwards, and completes an option by it, also of binaries that
/// ask for arguments otherwise.
#[test]
fn bash_takes_the_completions_of_every_binary() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in names() {
        let file = folder.path().join(&name);
        fs::write(&file, said(&name, &["--completions", "bash"])).expect("written");
        let check = r#"
            set -eu
            bash -n "$1"
            source "$1"
            complete -p "$2" >/dev/null
            function=$(complete -p "$2" | sed 's/.* -F \([^ ]*\).*/\1/')
            COMP_WORDS=("$2" --comp) COMP_CWORD=1
            "$function" "$2" --comp "$2"
            echo "${COMPREPLY[*]}""#;
        let arguments = ["-c", check, "bash", file.to_str().expect("a path"), &name];
        let output = Command::new("bash").args(arguments).output().expect("bash");
        assert!(output.status.success() && output.stderr.is_empty(), "{name}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "--completions", "{name}");
    }
}

#[test]
fn other_shells_have_completions_and_an_unknown_one_is_refused() {
    assert!(said("sweep", &["--completions", "zsh"]).starts_with("#compdef sweep\n"));
    assert!(said("sweep", &["--completions", "fish"]).contains("complete -c sweep -l collect"));
    let output = binary("sweep").args(["--completions", "tcsh"]).output().expect("started");
    assert_eq!(output.status.code(), Some(2));
    let output = binary("sweep").args(["grid.json", "--completions", "bash"]).output().expect("started");
    assert_eq!(output.status.code(), Some(2), "it stands alone");
}

/// Every help has a summary, a usage line under the binary's own name, options with words, examples that begin with a
/// binary of ours or with what starts several of them, exit codes and environment variables; no line is wider than a wide terminal.
#[test]
fn every_help_has_all_its_parts() {
    let names = names();
    for name in &names {
        assert_eq!(said(name, &["--version"]), format!("{name} {}\n", env!("CARGO_PKG_VERSION")));
        let help = said(name, &["--help"]);
        for part in [
            "Usage: ",
            "Options:\n",
            "Example",
            "Exit codes: 0 ",
            "Environment:\n",
            "ELBO_CUDA=0",
            "--completions <SHELL>",
        ] {
            assert!(help.contains(part), "{name} --help has no {part:?}:\n{help}");
        }
        assert!(help.contains(&format!("Usage: {name} ")), "{help}");
        let examples = help.split_once("\nExample").expect("examples").1.lines().skip(1);
        let examples: Vec<&str> = examples.take_while(|line| !line.trim().is_empty()).collect();
        assert!(!examples.is_empty(), "{name} has no example");
        for example in examples {
            let command = example.split_whitespace().next().expect("a command");
            let known = names.iter().any(|name| name == command) || ["sbatch", "torchrun"].contains(&command);
            assert!(known, "{name}: an example is no command of ours: {example}");
        }
        let wide: Vec<&str> = help.lines().filter(|line| line.chars().count() > 132).collect();
        assert!(wide.is_empty(), "{name}: lines that no terminal shows whole: {wide:?}");
        assert!(program(name).exists());
    }
}
