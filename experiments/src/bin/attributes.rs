//! Finds directions of the latent space that stand for attributes, and measures whether pictures follow them.
#![allow(clippy::doc_markdown, reason = "the comments on arguments are the text of --help")]

use anyhow::{Context, Result};
use clap::Parser;
use elbo_experiments::attributes::{AttributeArguments, Study, pictures, report};
use elbo_experiments::evaluation::{ModelArguments, Report};
use elbo_runner::files::write_atomically;
use elbo_runner::terminal::Mode;
use elbo_runner::watch::Watch;
use elbo_runner::{cli, terminal};
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::process::ExitCode;

/// Finds directions of the latent space that stand for attributes, and measures whether pictures follow them
///
/// The attribute vector is the mean code of pictures with the attribute minus that of pictures
/// without. It is added to the codes of held-out pictures without it, and a classifier that is trained
/// on data alone, and knows nothing of the model, says how many of the decoded pictures have the
/// attribute: the indicator. Beside it stand the share without an edit, that after steps of equal
/// length in other directions, and how often the classifier is right.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, after_help = EPILOGUE)]
struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    attributes: AttributeArguments,
    /// Folder for pictures and attributes.json [default: attributes/ of the run; none for --weights]
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
    /// Print one JSON object on standard output, and the tables on standard error
    #[arg(long)]
    json: bool,
    /// Print no progress, only warnings and errors
    #[arg(long)]
    quiet: bool,
}

const EPILOGUE: &str =
    "The folder gets attributes.json and, for each attribute, NAME_edits.png (examples, a green frame
where the classifier sees the attribute) and NAME_shares.png (the share by strength of the edit).

Examples:
  attributes runs/vae_gan --attributes shape=heart
  attributes runs/faces --attributes sunglasses --strengths 0,1,2,3
  attributes runs/mnist --attributes label=7,label=1 --json";

fn main() -> ExitCode {
    cli::run(run)
}

fn run(arguments: &Arguments) -> Result<()> {
    let watch = Watch::new(Mode::detect(arguments.quiet))?;
    let run = arguments.model.open(&mut |text| watch.say(text))?;
    let (names, settings) = arguments.attributes.resolve(&run)?;
    let out = arguments.out.clone().or_else(|| arguments.model.run().map(|run| run.join("attributes")));
    let study = Study { run: &run, settings: &settings, watch: &watch };

    let mut found = Report::new();
    found.field("model", run.path.display().to_string());
    found.field("step", run.step);
    found.field("data", run.data.train.name.clone());
    let mut objects = Map::new();
    let mut files = Vec::new();
    for name in &names {
        let finding = study.look_at(name)?;
        report::tell(&finding, &mut found);
        objects.insert(name.clone(), report::fields(&finding));
        if out.is_some() {
            let slug: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            files.push((format!("{slug}_edits.png"), study.sheet(&finding).png()));
            files.push((format!("{slug}_shares.png"), pictures::curves(&finding)?.png()));
        }
    }
    found.field("attributes", Value::Object(objects));
    found.section(report::LEGEND);
    if let Some(out) = &out {
        std::fs::create_dir_all(out).with_context(|| format!("{}: cannot be made", out.display()))?;
        files.push(("attributes.json".to_owned(), format!("{:#}\n", found.json()).into_bytes()));
        let mut written = Vec::new();
        for (name, bytes) in &files {
            write_atomically(&out.join(name), bytes)?;
            written.push(out.join(name).display().to_string());
        }
        found.section(written.join("\n"));
    }
    terminal::present(&found.text(), arguments.json.then(|| found.json()).as_ref())?;
    Ok(())
}
