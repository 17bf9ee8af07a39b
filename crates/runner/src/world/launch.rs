//! Which rank this process is: what launchers say in environment variables.

use crate::InputError;

/// Where torchrun and PyTorch meet if nothing else is said.
const DEFAULT_PORT: u16 = 29500;

/// What the launcher said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// This process, from 0.
    pub rank: i64,
    /// How many processes there are: two at least.
    pub size: i64,
    /// This process among those of its machine.
    pub local_rank: i64,
    /// Where the processes meet.
    pub host: String,
    /// And the port there.
    pub port: u16,
    /// Whether the launcher itself serves the meeting place, as torchrun's agent does.
    pub agent: bool,
    /// Sets this start apart from others that meet at the same place.
    pub prefix: String,
    /// The network interface of `GLOO_SOCKET_IFNAME`.
    pub interface: Option<String>,
}

/// Variables of rank, number of processes, and rank on its own machine, by launcher.
const LAUNCHERS: [[&str; 3]; 4] = [
    // torchrun, and by hand
    ["RANK", "WORLD_SIZE", "LOCAL_RANK"],
    // srun: the number of tasks of the step, which a batch script alone does not have
    ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"],
    // Open MPI
    ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"],
    // MPICH and its relatives
    ["PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"],
];

impl Launch {
    /// Reads the variables; `None` where they name one process or none.
    ///
    /// # Errors
    /// The variable that is missing or makes no sense.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, InputError> {
        let Some(&[rank_name, size_name, local_name]) = LAUNCHERS.iter().find(|names| variable(names[1]).is_some())
        else {
            return Ok(None);
        };
        let number = |name: &str, expected: &str, range: std::ops::Range<i64>| {
            let text = variable(name);
            let value = text.as_ref().and_then(|text| text.parse().ok()).filter(|value| range.contains(value));
            value.ok_or_else(|| {
                let got = text.map_or("nothing".to_owned(), |text| format!("{text:?}"));
                InputError::new(format!("environment variable {name}: expected {expected}, got {got}"))
            })
        };
        let size = number(size_name, "a number of processes", 1..1 << 20)?;
        if size == 1 {
            return Ok(None);
        }
        let rank = number(rank_name, &format!("a rank from 0 to {}", size - 1), 0..size)?;
        let local_rank = match variable(local_name) {
            Some(_) => number(local_name, &format!("a rank from 0 to {}", size - 1), 0..size)?,
            None => rank,
        };
        let host = variable("MASTER_ADDR")
            .or_else(|| variable("SLURM_STEP_NODELIST").as_deref().map(first_host))
            .or_else(|| one_machine(&variable, size))
            .ok_or_else(|| {
                let expected = "expected the host of rank 0, where the processes meet (127.0.0.1 on one machine)";
                InputError::new(format!("environment variable MASTER_ADDR: {expected}, got nothing"))
            })?;
        let port = match variable("MASTER_PORT") {
            Some(_) => number("MASTER_PORT", "a port from 1 to 65535", 1..65536)?,
            None => port_of_job(&variable),
        };
        let word = |name: &str, default: &str| variable(name).unwrap_or_else(|| default.to_owned());
        let (run, restart) = (word("TORCHELASTIC_RUN_ID", "run"), word("TORCHELASTIC_RESTART_COUNT", "0"));
        Ok(Some(Self {
            rank,
            size,
            local_rank,
            interface: variable("GLOO_SOCKET_IFNAME").and_then(|names| names.split(',').next().map(str::to_owned)),
            host,
            port: u16::try_from(port).unwrap_or(DEFAULT_PORT),
            agent: variable("TORCHELASTIC_USE_AGENT_STORE").as_deref() == Some("True"),
            prefix: format!("elbo/{run}/{restart}"),
        }))
    }

    /// Whether this process serves the place where all meet.
    pub(super) fn serves(&self) -> bool {
        self.rank == 0 && !self.agent
    }

    /// `host:port`, as errors name it.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The interface to use: the one that was named, or loopback where all are on this machine.
    pub(super) fn interface(&self) -> Option<&str> {
        let loopback = matches!(self.host.as_str(), "127.0.0.1" | "localhost" | "::1").then_some("lo");
        self.interface.as_deref().or(loopback)
    }
}

/// `node[03-07,9]` → `node03`, `a,b` → `a`: the first of Slurm's list.
fn first_host(list: &str) -> String {
    let end = list.find(',').unwrap_or(list.len());
    match list.find('[') {
        Some(open) if open < end => {
            let number: String = list[open + 1..].chars().take_while(char::is_ascii_digit).collect();
            format!("{}{number}", &list[..open])
        }
        _ => list[..end].to_owned(),
    }
}

/// Open MPI says how many processes this machine has: all of them, and they meet here.
fn one_machine(variable: &impl Fn(&str) -> Option<String>, size: i64) -> Option<String> {
    (variable("OMPI_COMM_WORLD_LOCAL_SIZE")? == size.to_string()).then(|| "127.0.0.1".to_owned())
}

/// A port for each Slurm job, so that two on one node do not meet.
fn port_of_job(variable: &impl Fn(&str) -> Option<String>) -> i64 {
    let job: Option<i64> = variable("SLURM_JOB_ID").and_then(|id| id.parse().ok());
    job.map_or(i64::from(DEFAULT_PORT), |job| 15_000 + job.rem_euclid(10_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(variables: &[(&str, &str)]) -> Result<Option<Launch>, String> {
        let variable =
            |wanted: &str| variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned());
        Launch::from_environment(variable).map_err(|error| error.to_string())
    }

    fn read(variables: &[(&str, &str)]) -> Launch {
        launch(variables).expect("good variables").expect("several processes")
    }

    #[test]
    fn one_process_is_no_world() {
        assert_eq!(launch(&[]), Ok(None));
        assert_eq!(launch(&[("RANK", "0"), ("WORLD_SIZE", "1")]), Ok(None));
        // A batch script of four tasks, which is one process itself.
        assert_eq!(launch(&[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4"), ("SLURM_LOCALID", "0")]), Ok(None));
    }

    #[test]
    fn a_shell_loop_says_all_by_hand() {
        let found = read(&[("RANK", "1"), ("WORLD_SIZE", "4"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "4000")]);
        assert_eq!((found.rank, found.size, found.local_rank, found.port), (1, 4, 1, 4000));
        assert_eq!((found.place().as_str(), found.interface(), found.serves()), ("127.0.0.1:4000", Some("lo"), false));
    }

    #[test]
    fn torchrun_serves_the_meeting_place_itself() {
        let found = read(&[
            ("RANK", "0"),
            ("WORLD_SIZE", "2"),
            ("LOCAL_RANK", "0"),
            ("MASTER_ADDR", "node1"),
            ("MASTER_PORT", "29400"),
            ("TORCHELASTIC_USE_AGENT_STORE", "True"),
            ("TORCHELASTIC_RUN_ID", "study"),
            ("TORCHELASTIC_RESTART_COUNT", "2"),
            ("GLOO_SOCKET_IFNAME", "eth1,eth2"),
        ]);
        assert!(found.agent && !found.serves());
        assert_eq!((found.prefix.as_str(), found.interface()), ("elbo/study/2", Some("eth1")));
    }

    #[test]
    fn slurm_and_mpi_need_nothing_by_hand() {
        let slurm = read(&[
            ("SLURM_PROCID", "5"),
            ("SLURM_STEP_NUM_TASKS", "8"),
            ("SLURM_LOCALID", "1"),
            ("SLURM_STEP_NODELIST", "gpu[07-10],cpu3"),
            ("SLURM_JOB_ID", "1234567"),
        ]);
        assert_eq!((slurm.rank, slurm.size, slurm.local_rank), (5, 8, 1));
        assert_eq!((slurm.place().as_str(), slurm.interface()), ("gpu07:19567", None));
        let mpi = read(&[
            ("OMPI_COMM_WORLD_RANK", "0"),
            ("OMPI_COMM_WORLD_SIZE", "2"),
            ("OMPI_COMM_WORLD_LOCAL_RANK", "0"),
            ("OMPI_COMM_WORLD_LOCAL_SIZE", "2"),
        ]);
        assert_eq!((mpi.place().as_str(), mpi.serves()), ("127.0.0.1:29500", true));
    }

    #[test]
    fn slurms_lists_begin_with_a_host() {
        for (list, first) in [("a", "a"), ("a,b[1-2]", "a"), ("n[1-3]", "n1"), ("n[003,5]", "n003"), ("x-y.z", "x-y.z")]
        {
            assert_eq!(first_host(list), first, "{list}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_name() {
        let cases: [(&[(&str, &str)], &str); 5] = [
            (&[("WORLD_SIZE", "two")], "WORLD_SIZE: expected a number of processes, got \"two\""),
            (&[("WORLD_SIZE", "2")], "RANK: expected a rank from 0 to 1, got nothing"),
            (&[("WORLD_SIZE", "2"), ("RANK", "2")], "RANK: expected a rank from 0 to 1, got \"2\""),
            (
                &[("WORLD_SIZE", "2"), ("RANK", "0")],
                "MASTER_ADDR: expected the host of rank 0, where the processes meet (127.0.0.1 on one machine), got nothing",
            ),
            (
                &[("WORLD_SIZE", "2"), ("RANK", "0"), ("MASTER_ADDR", "a"), ("MASTER_PORT", "0")],
                "MASTER_PORT: expected a port from 1 to 65535, got \"0\"",
            ),
        ];
        for (variables, line) in cases {
            assert_eq!(launch(variables), Err(format!("environment variable {line}")));
        }
    }
}
