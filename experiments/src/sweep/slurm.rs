//! A job array of Slurm.

use super::Sweep;
use std::path::Path;

/// The script of an array of which every job runs one member: `sbatch` takes it. `options` are lines for `#SBATCH`, such as
/// `--partition=gpu`; `at_once` limits the jobs that run together.
pub fn script(sweep: &Sweep, program: &Path, out: &Path, at_once: Option<usize>, options: &[String]) -> String {
    let last = sweep.members.len() - 1;
    let limit = at_once.map_or(String::new(), |jobs| format!("%{jobs}"));
    let more = options.iter().fold(String::new(), |lines, option| lines + "#SBATCH " + option + "\n");
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', "'\\''"));
    format!(
        "#!/bin/bash\n\
         # {count} members of {name}: `sbatch` this file; again after a failure or a cancellation, for finished members are left alone.\n\
         #SBATCH --job-name={name}\n\
         #SBATCH --array=0-{last}{limit}\n\
         #SBATCH --output={out}/sweep/slurm-%A_%a.log\n\
         # A run that is told to end a minute early has time to save.\n\
         #SBATCH --signal=TERM@60\n\
         {more}\
         # Threads beyond the CPUs of the job would wait for each other.\n\
         export OMP_NUM_THREADS=\"${{OMP_NUM_THREADS:-${{SLURM_CPUS_PER_TASK:-1}}}}\"\n\
         exec srun --ntasks=1 {program} {file} --index \"$SLURM_ARRAY_TASK_ID\" --retry --out {quoted_out}\n",
        count = sweep.members.len(),
        name = sweep.name,
        out = out.display(),
        program = quoted(program),
        file = quoted(&sweep.file),
        quoted_out = quoted(out),
    )
}
