//! Who started this process, and how many others beside it: what `torchrun`, MPI and Slurm say in a process's environment.

use crate::{Error, Result};
use std::collections::BTreeMap;

/// One of several processes that were started together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The number of this process, from 0.
    pub rank: usize,
    /// Processes.
    pub size: usize,
    /// The number of this process among those of its machine.
    pub local_rank: usize,
    /// Processes of this machine.
    pub local_size: usize,
    /// Where the store is through which the processes find each other, a machine's name or number and a port; or why that is not known. Who does not
    /// talk to the others needs none.
    pub store: Result<(String, u16), String>,
    /// Whether who started the processes serves this store; otherwise process 0 does.
    pub served: bool,
    /// Which start of the same processes this is, from 0.
    pub attempt: u64,
    /// Who started them: `torchrun`, `MPI`, `Slurm`, or `the environment`.
    pub by: &'static str,
}

/// The port that PyTorch takes where none is said.
const PORT: u16 = 29500;

impl Launch {
    /// What the environment says; `None` where this process was started alone.
    ///
    /// # Errors
    /// Half of what is needed is there, or it makes no sense.
    pub fn from_environment() -> Result<Option<Self>> {
        Self::of(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// The part of `n` things that is this process's: `i % size == rank`.
    pub fn mine(&self, i: usize) -> bool {
        i % self.size.max(1) == self.rank
    }

    /// The same of an environment that is given.
    fn of(get: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let env = Environment { get };
        let found = match env.said(&["RANK", "WORLD_SIZE"])? {
            Some([rank, size]) => Some(env.plain(rank, size)?),
            None => env.mpi()?.or(env.slurm()?),
        };
        let Some(launch) = found else { return Ok(None) };
        if launch.rank >= launch.size || launch.local_rank >= launch.local_size {
            let Launch { rank, size, local_rank, local_size, by, .. } = launch;
            return refuse(format!(
                "{by} started process {rank} of {size}, the {local_rank} of {local_size} on this machine: expected numbers from 0 that lie below their counts"
            ));
        }
        Ok(Some(launch).filter(|launch| launch.size > 1))
    }
}

struct Environment<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
}

impl Environment<'_> {
    fn number(&self, name: &str) -> Result<Option<usize>> {
        let Some(value) = (self.get)(name) else { return Ok(None) };
        match value.trim().parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => refuse(format!("{name}={value:?}: expected a number from 0 on")),
        }
    }

    /// Both numbers, or neither. A size without a rank is an allocation without its launcher.
    fn said(&self, names: &[&str]) -> Result<Option<[usize; 2]>> {
        let [a, b] = [names.first(), names.get(1)].map(|name| name.copied().unwrap_or_default());
        match (self.number(a)?, self.number(b)?) {
            (Some(rank), Some(size)) => Ok(Some([rank, size])),
            (None, _) => Ok(None),
            (Some(_), None) => refuse(format!(
                "{a} is set and {b} is not: set both to be one of several processes, or unset {a} to be alone"
            )),
        }
    }

    /// Where the store is, at the port of the environment or another one.
    fn store(&self, address: Option<String>, port: u16, why: &str) -> Result<Result<(String, u16), String>> {
        let port = match (self.get)("MASTER_PORT") {
            None => port,
            Some(port) => match port.trim().parse::<u16>() {
                Ok(port) if port > 0 => port,
                _ => return refuse(format!("MASTER_PORT={port}: expected a port from 1 to 65535")),
            },
        };
        Ok((self.get)("MASTER_ADDR").or(address).map(|address| (address, port)).ok_or_else(|| why.to_owned()))
    }

    /// `torchrun`, or who sets the same variables.
    fn plain(&self, rank: usize, size: usize) -> Result<Launch> {
        let why = "RANK and WORLD_SIZE are set and MASTER_ADDR is not: set it to the machine of process 0, and MASTER_PORT to a free port there, or start the processes with torchrun --no-python";
        let local_rank = self.number("LOCAL_RANK")?.unwrap_or(0);
        let flag = |name: &str| (self.get)(name).is_some_and(|value| value == "True" || value == "1");
        let torchrun = (self.get)("TORCHELASTIC_RUN_ID").is_some();
        Ok(Launch {
            rank,
            size,
            local_rank,
            local_size: self.number("LOCAL_WORLD_SIZE")?.unwrap_or(local_rank + 1),
            store: self.store(None, PORT, why)?,
            served: flag("TORCHELASTIC_USE_AGENT_STORE"),
            attempt: self.number("TORCHELASTIC_RESTART_COUNT")?.unwrap_or(0) as u64,
            by: if torchrun { "torchrun" } else { "the environment" },
        })
    }

    /// Open MPI, and those that speak PMI as MPICH and Intel MPI do. They say nothing of where process 0 is.
    fn mpi(&self) -> Result<Option<Launch>> {
        let open = self.said(&["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"])?;
        let (found, local) = match open {
            Some(found) => (found, ["OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"]),
            // Under Slurm PMI's numbers are its own, and it says more of them.
            None if (self.get)("SLURM_STEP_ID").is_some() => return Ok(None),
            None => match self.said(&["PMI_RANK", "PMI_SIZE"])? {
                Some(found) => (found, ["MPI_LOCALRANKID", "MPI_LOCALNRANKS"]),
                None => return Ok(None),
            },
        };
        let ([rank, size], local) = (found, self.said(&local)?);
        let [local_rank, local_size] = local.unwrap_or([0, 1]);
        let here = (local_size == size).then(|| "127.0.0.1".to_owned());
        let why = "MPI started processes on several machines and MASTER_ADDR is not set: give it to them, as mpirun -x MASTER_ADDR=$(hostname)";
        let store = self.store(here, PORT, why)?;
        Ok(Some(Launch { rank, size, local_rank, local_size, store, served: false, attempt: 0, by: "MPI" }))
    }

    /// A step of a Slurm job (`srun`). The script of a job is none: it is alone, whatever the job has.
    fn slurm(&self) -> Result<Option<Launch>> {
        if (self.get)("SLURM_STEP_ID").is_none() {
            return Ok(None);
        }
        let tasks = ["SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"];
        let tasks = tasks.into_iter().find(|name| (self.get)(name).is_some()).unwrap_or("SLURM_NTASKS");
        let Some([rank, size]) = self.said(&["SLURM_PROCID", tasks])? else { return Ok(None) };
        let first = |names: &[&str]| names.iter().find_map(|name| (self.get)(name));
        let nodes = first(&["SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"]);
        let node = self.number("SLURM_NODEID")?.unwrap_or(0);
        let each = first(&["SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE"]);
        let local_rank = self.number("SLURM_LOCALID")?.unwrap_or(0);
        let local_size = each.and_then(|each| tasks_of(&each, node)).unwrap_or(local_rank + 1);
        // Jobs that share a machine meet at ports of their own.
        let job = self.number("SLURM_JOB_ID")?.unwrap_or(0);
        let port = u16::try_from(15_000 + job % 10_000).unwrap_or(PORT);
        let why = "Slurm started the processes and SLURM_STEP_NODELIST is not set: set MASTER_ADDR to the machine of process 0";
        let store = self.store(nodes.as_deref().and_then(first_host), port, why)?;
        Ok(Some(Launch { rank, size, local_rank, local_size, store, served: false, attempt: 0, by: "Slurm" }))
    }
}

/// The first host of a list as Slurm writes it: `node[003-007,9],big1`.
fn first_host(list: &str) -> Option<String> {
    let end = list.find([',', '[']).unwrap_or(list.len());
    let (head, rest) = list.split_at(end);
    let host = match rest.strip_prefix('[') {
        Some(inside) => {
            let (inside, tail) = inside.split_once(']')?;
            let first = inside.split([',', '-']).next()?;
            let tail = tail.split(',').next()?;
            format!("{head}{first}{tail}")
        }
        None => head.to_owned(),
    };
    Some(host).filter(|host| !host.is_empty())
}

/// How many tasks the node of this number has, of a list as Slurm writes it: `2(x3),1`.
fn tasks_of(list: &str, node: usize) -> Option<usize> {
    let mut before = 0;
    let mut counts = BTreeMap::new();
    for part in list.split(',') {
        let (tasks, nodes) = part.split_once("(x").unwrap_or((part, "1)"));
        let nodes: usize = nodes.trim_end_matches(')').parse().ok()?;
        before += nodes;
        counts.insert(before, tasks.trim().parse::<usize>().ok()?);
    }
    counts.range(node + 1..).next().map(|(_, tasks)| *tasks)
}

fn refuse<T>(message: String) -> Result<T> {
    Err(Error::Launch { message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(said: &str) -> Result<Option<Launch>, String> {
        let all: BTreeMap<&str, &str> = said.split(' ').filter_map(|word| word.split_once('=')).collect();
        Launch::of(&|name| all.get(name).map(|value| (*value).to_owned())).map_err(|e| e.to_string())
    }

    fn found(said: &str) -> Launch {
        of(said).unwrap().unwrap()
    }

    #[test]
    fn nobody_says_anything_or_there_is_only_one() {
        for said in [
            "",
            "WORLD_SIZE=8",
            "SLURM_NTASKS=8",
            "RANK=0 WORLD_SIZE=1",
            "MASTER_ADDR=a MASTER_PORT=1",
            "OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=1",
            // The script of a job of four tasks.
            "SLURM_PROCID=0 SLURM_NTASKS=4 SLURM_JOB_NODELIST=a",
            "SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=1 SLURM_NTASKS=4 SLURM_JOB_NODELIST=a",
        ] {
            assert_eq!(of(said), Ok(None), "{said}");
        }
    }

    #[test]
    fn torchrun() {
        let all = "RANK=5 WORLD_SIZE=8 LOCAL_RANK=1 LOCAL_WORLD_SIZE=4 MASTER_ADDR=host MASTER_PORT=1234";
        let plain = found(all);
        assert_eq!((plain.rank, plain.size, plain.local_rank, plain.local_size), (5, 8, 1, 4));
        assert_eq!(plain.store, Ok(("host".into(), 1234)));
        assert_eq!((plain.served, plain.by), (false, "the environment"));
        let elastic = found(&format!(
            "{all} TORCHELASTIC_USE_AGENT_STORE=True TORCHELASTIC_RESTART_COUNT=2 TORCHELASTIC_RUN_ID=x"
        ));
        assert_eq!(elastic, Launch { served: true, attempt: 2, by: "torchrun", ..plain });
        assert!(elastic.mine(13) && !elastic.mine(4));
    }

    #[test]
    fn mpi_and_slurm() {
        let open = found(
            "OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_RANK=1 OMPI_COMM_WORLD_LOCAL_SIZE=2",
        );
        assert_eq!((open.rank, open.local_size, open.store), (1, 2, Ok(("127.0.0.1".into(), PORT))));
        let pmi =
            found("PMI_RANK=3 PMI_SIZE=4 MPI_LOCALRANKID=1 MPI_LOCALNRANKS=2 MASTER_ADDR=a MASTER_PORT=7");
        assert_eq!((pmi.rank, pmi.local_rank, pmi.store), (3, 1, Ok(("a".into(), 7))));
        let slurm = found(
            "SLURM_STEP_ID=0 SLURM_PROCID=4 SLURM_STEP_NUM_TASKS=5 SLURM_LOCALID=0 SLURM_NODEID=2 SLURM_STEP_TASKS_PER_NODE=2(x2),1 SLURM_STEP_NODELIST=n[007-008,12]-x,big SLURM_JOB_ID=123456 PMI_RANK=4 PMI_SIZE=5",
        );
        assert_eq!((slurm.rank, slurm.size, slurm.local_rank, slurm.local_size), (4, 5, 0, 1));
        assert_eq!((slurm.store, slurm.by), (Ok(("n007-x".into(), 18_456)), "Slurm"));
    }

    #[test]
    fn half_of_it_is_refused_in_a_line() {
        for (said, what) in [
            ("RANK=0", "RANK is set and WORLD_SIZE is not"),
            ("RANK=x WORLD_SIZE=2", "RANK=\"x\": expected a number"),
            ("RANK=0 WORLD_SIZE=many", "WORLD_SIZE=\"many\": expected a number"),
            ("RANK=2 WORLD_SIZE=2 MASTER_ADDR=a MASTER_PORT=1", "process 2 of 2"),
            ("RANK=0 WORLD_SIZE=2 MASTER_ADDR=a MASTER_PORT=70000", "MASTER_PORT=70000: expected a port"),
            ("OMPI_COMM_WORLD_RANK=0", "OMPI_COMM_WORLD_SIZE is not"),
        ] {
            let told = of(said).unwrap_err();
            assert!(told.contains(what) && !told.contains('\n'), "{said}: {told}");
        }
    }

    #[test]
    fn where_they_meet_is_asked_for_only_where_they_do() {
        for (said, why) in [
            ("RANK=0 WORLD_SIZE=2 MASTER_PORT=1", "MASTER_ADDR is not"),
            (
                "OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_LOCAL_RANK=0 OMPI_COMM_WORLD_LOCAL_SIZE=2",
                "MASTER_ADDR is not set",
            ),
            ("SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=2", "SLURM_STEP_NODELIST is not set"),
        ] {
            let told = found(said).store.unwrap_err();
            assert!(told.contains(why) && !told.contains('\n'), "{said}: {told}");
        }
    }

    #[test]
    fn lists_of_slurm() {
        for (list, host) in
            [("a", "a"), ("a,b", "a"), ("n[1-3]", "n1"), ("n[04,7-9],z", "n04"), ("n[1-2]e,m", "n1e")]
        {
            assert_eq!(first_host(list).as_deref(), Some(host), "{list}");
        }
        assert_eq!((first_host(""), first_host("n[1")), (None, None));
        let tasks = |node| tasks_of("2(x3),1", node);
        assert_eq!([tasks(0), tasks(2), tasks(3), tasks(4)], [Some(2), Some(2), Some(1), None]);
        assert_eq!(tasks_of("4", 0), Some(4));
        assert_eq!(tasks_of("x", 0), None);
    }
}
