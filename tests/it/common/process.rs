//! The release of a user's view: the built program as a process of its own, with its own metrics and signals.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::client::{self, Reply};

/// A running `imgforge`; killed when the test is over.
pub struct Process {
    pub addr: SocketAddr,
    pub metrics: SocketAddr,
    child: Child,
    log: File,
}

impl Process {
    /// Starts the program with these variables and waits until it answers.
    pub async fn start(env: &[(&str, &str)]) -> Self {
        Self::start_with(&[], env).await
    }

    /// The same with arguments.
    pub async fn start_with(args: &[&str], env: &[(&str, &str)]) -> Self {
        Self::start_command(&|| command(&[]), args, env).await
    }

    /// The program as the last word of a shell script, as `exec "$0"`, which may limit it before.
    pub async fn start_in_shell(script: &str, env: &[(&str, &str)]) -> Self {
        let shell = || {
            let mut shell = Command::new("/bin/sh");
            shell
                .env_clear()
                .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
            shell.args(["-c", script, env!("CARGO_BIN_EXE_imgforge")]);
            shell
        };
        Self::start_command(&shell, &[], env).await
    }

    /// The program under a limit of its address space, in bytes.
    pub async fn start_within(bytes: u64, env: &[(&str, &str)]) -> Self {
        let script = format!("ulimit -v {}; exec \"$0\"", bytes / 1024);
        Self::start_in_shell(&script, env).await
    }

    async fn start_command(
        command: &dyn Fn() -> Command,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> Self {
        // A port that was free a moment ago can be gone: then the program stops, and the next pair is tried.
        for _ in 0..5 {
            let (addr, metrics) = (free_address(), free_address());
            let log = log_file();
            let mut process = Self {
                addr,
                metrics,
                child: spawn(
                    command(),
                    (addr, metrics),
                    args,
                    env,
                    log.try_clone().unwrap(),
                ),
                log,
            };
            if process.answers().await {
                return process;
            }
        }
        panic!("the program does not start");
    }

    /// Starts the program once more on the address of `first`.
    pub async fn start_beside(first: &Self, env: &[(&str, &str)]) -> Self {
        let (metrics, log) = (free_address(), log_file());
        let mut process = Self {
            addr: first.addr,
            metrics,
            child: spawn(
                command(&[]),
                (first.addr, metrics),
                &[],
                env,
                log.try_clone().unwrap(),
            ),
            log,
        };
        // On the shared address it might be the other that answers.
        assert!(
            process.answers_at(metrics, "/metrics").await,
            "{}",
            process.log()
        );
        process
    }

    async fn answers(&mut self) -> bool {
        self.answers_at(self.addr, "/health").await
    }

    async fn answers_at(&mut self, addr: SocketAddr, path: &str) -> bool {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if tokio::net::TcpStream::connect(addr).await.is_ok() {
                return client::request(addr, "GET", path, &[]).await.status == 200;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    /// A GET on the main listener.
    pub async fn get(&self, target: &str) -> Reply {
        client::request(self.addr, "GET", target, &[]).await
    }

    /// The text of a scrape.
    pub async fn scrape(&self) -> String {
        let reply = client::request(self.metrics, "GET", "/metrics", &[]).await;
        assert_eq!(reply.status, 200);
        reply.text()
    }

    /// Standard output so far.
    pub fn log(&self) -> String {
        let length = self.log.metadata().unwrap().len();
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        self.log.read_exact_at(&mut bytes, 0).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most resident memory so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
        kilobytes.parse::<u64>().unwrap() * 1024
    }

    /// Number of open files and sockets.
    pub fn open_files(&self) -> usize {
        let path = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(path).unwrap().count()
    }

    /// Sends a signal by name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits for the end.
    pub async fn exit(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "the program does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the program to its end with these arguments and variables; standard output and error together.
pub fn run(args: &[&str], env: &[(&str, &str)]) -> (ExitStatus, String) {
    let output = command(env).args(args).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status, String::from_utf8_lossy(&text).into_owned())
}

fn spawn(
    mut command: Command,
    (addr, metrics): (SocketAddr, SocketAddr),
    args: &[&str],
    env: &[(&str, &str)],
    log: File,
) -> Child {
    command
        .env("IMGPROXY_LOG_LEVEL", "error")
        .args(args)
        .env("IMGPROXY_BIND", addr.to_string())
        .env("IMGPROXY_PROMETHEUS_BIND", metrics.to_string())
        .env("IMGPROXY_ALLOW_LOOPBACK_SOURCE_ADDRESSES", "true")
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .stdout(log)
        .spawn()
        .unwrap()
}

/// A file that has no name and goes with its last handle.
fn log_file() -> File {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("imgforge-{}-{count}.log", std::process::id());
    let path = std::env::temp_dir().join(name);
    let file = File::options()
        .read(true)
        .append(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(path).unwrap();
    file
}

/// The program with nothing but these variables.
fn command(env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imgforge"));
    command.env_clear().envs(env.iter().copied());
    command
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}
