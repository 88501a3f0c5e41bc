//! Connection bursts, more connections than file descriptors, and ten thousand idle connections.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use tokio::net::{TcpSocket, TcpStream};

use super::raw_connection::{PATIENCE, RawConnection, get};
use super::target::Target;
use super::well_behaved_clients::watch;
use crate::helpers::{Process, sentinel};

/// Raises this process's limit on open files to its maximum, and returns it.
fn raise_own_limit() -> usize {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    maximum.map_or(usize::MAX, |maximum| usize::try_from(maximum).unwrap())
}

/// Connects from one of many local addresses, so that ephemeral ports do not run out.
async fn connect(index: usize, address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let from = Ipv4Addr::new(127, 0, 1, u8::try_from(index % 200).unwrap() + 1);
    socket.bind(SocketAddr::new(IpAddr::V4(from), 0)).unwrap();
    let connecting = socket.connect(address.parse().unwrap());
    tokio::time::timeout(PATIENCE, connecting).await.expect("a connection").unwrap()
}

/// The suspended server accepts nothing, so the kernel's listen backlog has to hold all
/// connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_burst_within_listen_backlog_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::serve(folder.path(), &[]);
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let burst = 1000.min(most.trim().parse::<usize>().unwrap());
    process.suspend();
    let mut wires = Vec::new();
    let started = Instant::now();
    for index in 0..burst {
        wires.push(RawConnection::new(connect(index, &process.address).await));
    }
    println!("{burst} connections in {:?}", started.elapsed());
    process.resume();
    for wire in &mut wires {
        assert_eq!(wire.ask(&get("/healthz", "")).await.status, 200);
    }
}

fn with_few_files(folder: &std::path::Path, limit: &str) -> Process {
    let serving = sentinel(folder);
    let mut command = Command::new("sh");
    command.current_dir(folder).env_clear().args(["-c", &format!("ulimit {limit}; exec \"$@\"")]);
    command.arg("sh").arg(serving.get_program());
    command.args(["serve", "--bind", "127.0.0.1:0", "--set", "log.format=json"]);
    Process::start(command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_limit_reserves_file_descriptors_and_queues_the_excess() {
    let folder = tempfile::tempdir().unwrap();
    let process = with_few_files(folder.path(), "-n 128");
    let mut kept = RawConnection::connect(&process.address).await;
    let ready = get("/readyz", "");
    assert_eq!(kept.ask(&ready).await.status, 200);
    let mut idle = Vec::new();
    for index in 0..300 {
        idle.push(connect(index, &process.address).await);
    }
    // The limit is reached and others wait; open connections are served.
    let files = format!("/proc/{}/fd", process.id());
    // The process cannot be traced, so only root can count its files.
    let open = || match std::fs::read_dir(&files) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => 0,
        files => files.unwrap().count(),
    };
    for _ in 0..50 {
        assert_eq!(kept.ask(&ready).await.status, 200);
        assert!(open() < 128, "no file is left");
    }
    let mut waiting = RawConnection::connect(&process.address).await;
    drop(idle);
    assert_eq!(waiting.ask(&ready).await.status, 200);
}

#[test]
fn soft_limit_on_open_files_is_raised_to_hard_limit() {
    let folder = tempfile::tempdir().unwrap();
    let process = with_few_files(folder.path(), "-S -n 256");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[3], words[4], "{line}");
    assert_ne!(words[3], "256");
}

/// File descriptors can run out if the limit is lowered or the system-wide limit is reached.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_connections_are_served_when_file_descriptors_run_out() {
    let target = Target::start(&[]).await;
    let mut kept = RawConnection::connect(target.address()).await;
    let introspection = target.introspection();
    assert_eq!(kept.ask(&introspection).await.status, 200);
    let pid = Pid::from_raw(i32::try_from(target.process().id()).unwrap());
    let before = prlimit(
        pid,
        Resource::Nofile,
        Rlimit { current: Some(100), maximum: getrlimit(Resource::Nofile).maximum },
    )
    .unwrap();
    let mut idle = Vec::new();
    for index in 0..300 {
        idle.push(connect(index, target.address()).await);
    }
    target.process().wait_for("Error accepting connection");
    for _ in 0..50 {
        let reply = kept.ask(&introspection).await;
        assert!(reply.status == 200 && reply.body.contains("\"active\":true"), "{reply:?}");
    }
    drop(idle);
    let mut anew = RawConnection::connect(target.address()).await;
    assert_eq!(anew.ask(&get("/readyz", "")).await.status, 200);
    prlimit(pid, Resource::Nofile, before).unwrap();
    assert!(target.peer().is_active(&target.token).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_use_less_than_64_kib_each() {
    // The test process needs as many file descriptors as the server.
    let many = 10_000.min(raise_own_limit() - 1000);
    let target = Target::start(&[]).await;
    let (calm, ()) = watch(&target, tokio::time::sleep(Duration::from_secs(3))).await;
    calm.print("nothing else", &BTreeMap::new());
    let before = target.process().memory();
    let mut idle = Vec::new();
    for index in 0..many {
        let mut wire = RawConnection::new(connect(index, target.address()).await);
        assert_eq!(wire.ask(&get("/healthz", "")).await.status, 200);
        idle.push(wire);
    }
    let each = (target.process().memory() - before) / many;
    let (seen, ()) = watch(&target, tokio::time::sleep(Duration::from_secs(3))).await;
    seen.print(&format!("{many} idle connections"), &BTreeMap::new());
    println!("{many} idle connections: {:.1} KiB each", each as f64 / 1024.0);
    assert!(each < 64 * 1024, "{each} octets");
}
