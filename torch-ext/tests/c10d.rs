//! Processes on this machine that exchange tensors: this program, started again for each of them.
#![allow(clippy::unwrap_used, missing_docs)]

use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tch::{Device, Kind, Tensor};
use unisono_torch_ext::c10d::{ProcessGroup, Reduce, Role, Store};

const TIMEOUT: Duration = Duration::from_secs(60);
const LOCAL: &str = "127.0.0.1";

/// Starts the part `what` of `one_process` as so many processes that meet in a store of this one.
fn start(what: &str, size: usize, seconds: u64) -> (Store, Vec<Child>) {
    let store = Store::tcp(LOCAL, 0, Role::Server, TIMEOUT).unwrap();
    let one = |rank: usize| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "one_process", "--nocapture"])
            .env("C10D_TEST", format!("{what} {rank} {size} {} {seconds}", store.port()))
            .env("OMP_NUM_THREADS", "1")
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let all = (0..size).map(one).collect();
    (store, all)
}

fn all_succeed(children: Vec<Child>) {
    for (rank, mut child) in children.into_iter().enumerate() {
        assert!(child.wait().unwrap().success(), "rank {rank}");
    }
}

/// What each process does; nothing where this is the program itself.
#[test]
fn one_process() {
    let Ok(said) = std::env::var("C10D_TEST") else { return };
    let words: Vec<&str> = said.split(' ').collect();
    let number = |at: usize| words[at].parse::<usize>().unwrap();
    let (rank, size, port) = (number(1), number(2), number(3));
    let store = Store::tcp(LOCAL, u16::try_from(port).unwrap(), Role::Client, TIMEOUT).unwrap();
    let timeout = Duration::from_secs(number(4) as u64);
    let own = store.under("group").unwrap();
    let group = ProcessGroup::gloo(&own, (rank, size), timeout, None, Some(LOCAL)).unwrap();
    match words[0] {
        "values" => values(&group, &store),
        "fails" => fails(&group, &store),
        other => panic!("{other}"),
    }
}

/// Numbers that are another process's where `rank` is.
fn numbers(rank: usize, n: i64, kind: Kind) -> Tensor {
    ((Tensor::arange(n, (Kind::Double, Device::Cpu)) + 1.0) * (rank as f64 + 1.0)).to_kind(kind)
}

fn values(group: &ProcessGroup, store: &Store) {
    let (rank, size) = (group.rank(), group.size());
    let ranks = size as f64 * (size as f64 + 1.0) / 2.0;
    let ascending = |n| Tensor::arange(n, (Kind::Double, Device::Cpu)) + 1.0;
    for n in [1, 5, 1000] {
        for kind in [Kind::Float, Kind::Double, Kind::Int64] {
            let sum = numbers(rank, n, kind);
            group.all_reduce(&sum, Reduce::Sum).unwrap().wait().unwrap();
            assert_eq!(sum, (ascending(n) * ranks).to_kind(kind), "{n} {kind:?}");
            for (by, of) in [(Reduce::Min, 0), (Reduce::Max, size - 1)] {
                let found = numbers(rank, n, kind);
                group.all_reduce(&found, by).unwrap().wait().unwrap();
                assert_eq!(found, numbers(of, n, kind), "{n} {kind:?} {by:?}");
            }
            for root in 0..size {
                let given = numbers(rank, n, kind);
                group.broadcast(&given, root).unwrap().wait().unwrap();
                assert_eq!(given, numbers(root, n, kind), "{n} {kind:?} from {root}");
            }
            let outputs: Vec<Tensor> = (0..size).map(|_| Tensor::zeros([n], (kind, Device::Cpu))).collect();
            group.all_gather(&outputs, &numbers(rank, n, kind)).unwrap().wait().unwrap();
            for (of, output) in outputs.iter().enumerate() {
                assert_eq!(*output, numbers(of, n, kind), "{n} {kind:?} of {of}");
            }
            // For each process its number times those of the sender.
            let inputs: Vec<Tensor> = (0..size).map(|to| numbers(rank, n, kind) * (to as i64 + 1)).collect();
            let output = Tensor::zeros([n], (kind, Device::Cpu));
            group.reduce_scatter(&output, &inputs, Reduce::Sum).unwrap().wait().unwrap();
            assert_eq!(output, (ascending(n) * ranks * (rank as f64 + 1.0)).to_kind(kind), "{n} {kind:?}");
        }
    }
    // Several in flight at once, around a ring.
    let (next, before) = ((rank + 1) % size, (rank + size - 1) % size);
    let (given, taken) = (numbers(rank, 9, Kind::Float), numbers(0, 9, Kind::Float) * 0.0);
    let both = [group.send(&given, next, 7).unwrap(), group.recv(&taken, before, 7).unwrap()];
    let sums: Vec<Tensor> = (0..4).map(|i| numbers(rank + i, 100, Kind::Float)).collect();
    let works: Vec<_> = sums.iter().map(|sum| group.all_reduce(sum, Reduce::Sum).unwrap()).collect();
    both.into_iter().chain(works).for_each(|work| work.wait().unwrap());
    assert_eq!(taken, numbers(before, 9, Kind::Float));
    for (i, sum) in sums.iter().enumerate() {
        assert_eq!(*sum, numbers(0, 100, Kind::Float) * (ranks + (i * size) as f64), "{i}");
    }
    // What cannot be sent is said here.
    let said = group.all_reduce(&numbers(0, 6, Kind::Float).view([2, 3]).transpose(0, 1), Reduce::Sum);
    assert!(said.unwrap_err().to_string().contains("expected a contiguous tensor"));
    let said = group.all_gather(&[], &numbers(0, 6, Kind::Float)).unwrap_err().to_string();
    assert!(said.contains(&format!("expected a tensor for each of {size} processes, found 0")), "{said}");
    group.barrier().unwrap().wait().unwrap();
    assert!(store.add("sum", rank as i64 + 1).unwrap() > 0);
    group.barrier().unwrap().wait().unwrap();
    assert_eq!(store.add("sum", 0).unwrap() as f64, ranks);
}

/// The last process goes away, or does not come; the others learn of it.
fn fails(group: &ProcessGroup, store: &Store) {
    let gone = group.size() - 1;
    group.barrier().unwrap().wait().unwrap();
    if group.rank() == gone {
        // Until the parent has seen what it waits for.
        store.set("ready", b"").unwrap();
        let _ = store.wait("never", TIMEOUT);
        return;
    }
    let sum = numbers(0, 10, Kind::Float);
    let said = group.all_reduce(&sum, Reduce::Sum).unwrap().wait().unwrap_err().to_string();
    assert!(!said.contains('\n') && said.starts_with("libtorch: all_reduce: "), "{said}");
    store.set(&format!("said {}", group.rank()), said.as_bytes()).unwrap();
}

#[test]
fn two_processes() {
    let (_store, children) = start("values", 2, 60);
    all_succeed(children);
}

#[test]
fn four_processes() {
    let (_store, children) = start("values", 4, 60);
    all_succeed(children);
}

#[test]
fn a_process_that_is_killed_is_noticed() {
    let (store, mut children) = start("fails", 3, 60);
    let mut last = children.pop().unwrap();
    store.wait("ready", TIMEOUT).unwrap();
    last.kill().unwrap();
    last.wait().unwrap();
    all_succeed(children);
    let said = String::from_utf8(store.get("said 0").unwrap()).unwrap();
    assert!(
        said.to_lowercase().contains("connection") || said.to_lowercase().contains("timed out"),
        "{said}"
    );
}

#[test]
fn a_process_that_hangs_is_noticed_in_time() {
    let (store, mut children) = start("fails", 2, 6);
    let mut last = children.pop().unwrap();
    all_succeed(children);
    last.kill().unwrap();
    last.wait().unwrap();
    let said = String::from_utf8(store.get("said 0").unwrap()).unwrap();
    assert!(said.to_lowercase().contains("timed out"), "{said}");
}

#[test]
fn a_store_keeps_what_it_is_given() {
    let store = Store::tcp(LOCAL, 0, Role::Server, TIMEOUT).unwrap();
    let client = Store::tcp(LOCAL, store.port(), Role::Client, TIMEOUT).unwrap().under("mine").unwrap();
    let long: Vec<u8> = (0..100_000u32).map(|i| i as u8).collect();
    client.set("long", &long).unwrap();
    client.set("empty", b"").unwrap();
    let another = client.another().unwrap();
    assert_eq!((another.get("long").unwrap(), another.get("empty").unwrap()), (long, Vec::new()));
    assert_eq!(store.find("long").unwrap(), None, "another's keys");
    assert_eq!((client.add("n", 3).unwrap(), another.add("n", -1).unwrap()), (3, 2));
    assert!(client.has("empty").unwrap() && client.delete("empty").unwrap() && !client.has("empty").unwrap());
    let said = client.wait("nothing", Duration::from_millis(50)).unwrap_err().to_string();
    assert!(!said.contains('\n'), "{said}");
    assert!(store.set("a\0b", b"").unwrap_err().to_string().contains("NUL byte"));
    // Nobody serves there.
    let port = store.port();
    drop((client, another, store));
    assert!(Store::tcp(LOCAL, port, Role::Client, Duration::from_millis(50)).is_err());
}
