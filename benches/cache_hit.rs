//! Hits of the result cache beside servers that do nothing else: from memory beside a bare hyper server that answers the
//! same bytes, from the disk beside nginx that serves the same file.
//!
//! ```sh
//! cargo bench --profile release --bench cache_hit [-- --rounds 7 --seconds 1 --connections 32 --imgforge PATH]
//! ```
//!
//! All servers run at once and are asked in turn, round by round, by the same client over the same number of connections
//! that stay open; a ratio is the median over the rounds. The client takes its part of the machine from all alike, so the
//! CPU time that a server uses per request is told as well.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark stops at the first mistake and prints what it measures"
)]

use std::convert::Infallible;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

/// Option that makes this program the bare server: the file that it answers.
const BARE: &str = "--bare";
/// Picture that results are made of, and the widths that make small, usual and large ones.
const PICTURE: &str = "tests/images/scene/large.jpg";
const WIDTHS: [u32; 3] = [100, 400, 1200];

fn main() {
    let options = Options::read();
    if let Some(file) = &options.bare {
        return bare(file);
    }
    let folder = Folder::new();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    println!(
        "{:>9} {:>28} {:>10} {:>8} {:>12} {:>8}",
        "bytes", "server", "1/s", "ratio", "µs CPU each", "ratio"
    );
    for width in WIDTHS {
        compare(&options, &folder, &runtime, width);
    }
}

/// Measures all servers with the result of one width.
fn compare(options: &Options, folder: &Folder, runtime: &Runtime, width: u32) {
    let cache = folder.0.join(format!("cache-{width}"));
    let target = format!("/unsafe/rs:fit:{width}:0/el:1/q:95/plain/local:///picture.jpg");
    let imgforge = |cache_type: &str, level: &str| {
        let address = free_address();
        let child = Command::new(&options.imgforge)
            .env_clear()
            .env("IMGPROXY_BIND", address.to_string())
            .env("IMGPROXY_LOCAL_FILESYSTEM_ROOT", &folder.0)
            .env("IMGPROXY_LOG_LEVEL", level)
            .env("IMGFORGE_CACHE_TYPE", cache_type)
            .env("IMGFORGE_CACHE_DISK_PATH", &cache)
            .stdout(fs::File::create(folder.0.join("imgforge.log")).unwrap())
            .spawn()
            .expect("imgforge");
        Server::new(
            format!("imgforge, {cache_type}, log {level}"),
            child,
            address,
            &target,
        )
    };
    let mut servers = vec![
        imgforge("memory", "warn"),
        imgforge("memory", "info"),
        imgforge("disk", "warn"),
        imgforge("disk", "info"),
    ];
    let body = runtime.block_on(async {
        let mut bodies = Vec::new();
        for server in &servers {
            server.until_ready().await;
            bodies.push(server.body().await);
        }
        assert!(
            bodies.iter().all(|body| *body == bodies[0]),
            "results differ"
        );
        bodies.remove(0)
    });
    let file = folder.0.join(format!("{width}.jpg"));
    fs::write(&file, &body).unwrap();
    servers.insert(0, bare_server(&file));
    servers.insert(
        3,
        nginx(folder, &format!("{width}.jpg")).unwrap_or_else(|| {
            println!(
                "{:>9} nginx is not installed, the hits on the disk are beside hyper",
                ""
            );
            bare_server(&file)
        }),
    );
    runtime.block_on(async {
        for server in &servers {
            server.until_ready().await;
            assert_eq!(server.body().await, body, "{}", server.name);
        }
        // The disk's entry has to be on the disk.
        tokio::time::sleep(Duration::from_millis(500)).await;
        for server in &mut servers {
            server
                .load(options.connections, Duration::from_millis(300))
                .await;
        }
        for _ in 0..options.rounds {
            for server in &mut servers {
                let run = server.load(options.connections, options.time).await;
                server.runs.push(run);
            }
        }
    });
    for (at, server) in servers.iter().enumerate() {
        let yardstick = &servers[if at < 3 { 0 } else { 3 }];
        let ratio = |of: fn(&Run) -> f64| {
            let pairs = server.runs.iter().zip(&yardstick.runs);
            median(pairs.map(|(own, other)| of(own) / of(other)).collect())
        };
        println!(
            "{:>9} {:>28} {:>10.0} {:>8.2} {:>12.1} {:>8.2}",
            body.len(),
            server.name,
            median(server.runs.iter().map(|run| run.rate).collect()),
            ratio(|run| run.rate),
            median(server.runs.iter().map(|run| run.cpu).collect()),
            ratio(|run| run.cpu),
        );
    }
}

struct Options {
    rounds: usize,
    time: Duration,
    connections: usize,
    imgforge: PathBuf,
    bare: Option<PathBuf>,
}

impl Options {
    fn read() -> Self {
        let mut options = Self {
            rounds: 7,
            time: Duration::from_secs(1),
            connections: 32,
            imgforge: env!("CARGO_BIN_EXE_imgforge").into(),
            bare: None,
        };
        let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
        while let Some(word) = words.next() {
            let value = words.next().unwrap_or_default();
            match word.as_str() {
                "--rounds" => options.rounds = value.parse().unwrap(),
                "--seconds" => options.time = Duration::from_secs_f64(value.parse().unwrap()),
                "--connections" => options.connections = value.parse().unwrap(),
                "--imgforge" => options.imgforge = value.into(),
                BARE => options.bare = Some(value.into()),
                _ => panic!("unknown option {word}"),
            }
        }
        options
    }
}

/// What one round has shown.
struct Run {
    /// Answers per second.
    rate: f64,
    /// Microseconds of the server's CPU time per answer.
    cpu: f64,
}

/// A program that answers one path with one body; it ends with this value.
struct Server {
    name: String,
    child: Child,
    address: SocketAddr,
    request: Vec<u8>,
    runs: Vec<Run>,
}

impl Server {
    fn new(name: String, child: Child, address: SocketAddr, target: &str) -> Self {
        Self {
            name,
            child,
            address,
            request: format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nAccept: image/*\r\n\r\n")
                .into(),
            runs: Vec::new(),
        }
    }

    async fn until_ready(&self) {
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(self.address).await.is_err() {
            assert!(Instant::now() < end, "{} does not answer", self.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn body(&self) -> Vec<u8> {
        let mut client = Client::new(self).await;
        let length = client.ask(&self.request).await;
        client.buffer.split_off(client.buffer.len() - length)
    }

    async fn load(&self, connections: usize, time: Duration) -> Run {
        let mut clients = Vec::new();
        for _ in 0..connections {
            clients.push(Client::new(self).await);
        }
        let (before, started) = (self.cpu(), Instant::now());
        let counts = clients.into_iter().map(|mut client| async move {
            let mut count = 0_u32;
            while started.elapsed() < time {
                client.ask(&self.request).await;
                count += 1;
            }
            count
        });
        let counts = futures_util::future::join_all(counts).await;
        let answers = f64::from(counts.iter().sum::<u32>());
        Run {
            rate: answers / started.elapsed().as_secs_f64(),
            cpu: (self.cpu() - before).as_secs_f64() * 1e6 / answers,
        }
    }

    /// CPU time of the server and the processes that it has started.
    fn cpu(&self) -> Duration {
        let own = self.child.id();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
        let children = children.unwrap_or_default();
        let others = children.split_whitespace().map(str::to_owned);
        std::iter::once(own.to_string())
            .chain(others)
            .map(|id| cpu_of(&id))
            .sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nginx ends its workers on SIGTERM only.
        let id = i32::try_from(self.child.id()).unwrap();
        let id = rustix::process::Pid::from_raw(id).unwrap();
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

/// User and system time, in ticks of 10 ms.
fn cpu_of(id: &str) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap().split(' ');
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(10 * ticks)
}

/// One connection that stays open.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    async fn new(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: Vec::with_capacity(1 << 20),
        }
    }

    /// Sends a request and reads the answer, which must be a 200; the length of its body.
    async fn ask(&mut self, request: &[u8]) -> usize {
        self.stream.write_all(request).await.unwrap();
        self.buffer.clear();
        let (mut whole, mut length) = (usize::MAX, 0);
        while self.buffer.len() < whole {
            let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
            assert_ne!(read, 0, "the connection was closed");
            if whole == usize::MAX
                && let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n")
            {
                length = content_length(&self.buffer[..end]);
                whole = end + 4 + length;
            }
        }
        length
    }
}

fn content_length(head: &[u8]) -> usize {
    let head = std::str::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let found = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    found.expect("a length").1.parse().unwrap()
}

/// This program as the bare server.
fn bare_server(file: &Path) -> Server {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg(BARE)
        .arg(file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    Server::new(
        "bare hyper".to_owned(),
        child,
        line.trim().parse().unwrap(),
        "/",
    )
}

/// Answers every request with the file, with nothing but hyper and as many threads as imgforge has.
fn bare(file: &Path) {
    let body = Bytes::from(fs::read(file).unwrap());
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            println!("{}", listener.local_addr().unwrap());
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let body = body.clone();
                let service = service_fn(move |_| {
                    let response = http::Response::builder().header("content-type", "image/jpeg");
                    std::future::ready(Ok::<_, Infallible>(
                        response.body(Full::new(body.clone())).unwrap(),
                    ))
                });
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
}

/// nginx with a file of the folder; `None` where there is none.
fn nginx(folder: &Folder, name: &str) -> Option<Server> {
    let address = free_address();
    let root = folder.0.display();
    let configuration = format!(
        "daemon off; worker_processes auto; pid {root}/nginx.pid; error_log {root}/error.log;
         events {{ worker_connections 1024; }}
         http {{
             types {{ image/jpeg jpg; }}
             sendfile on; tcp_nopush on; keepalive_requests 1000000000; access_log {root}/access.log;
             client_body_temp_path {root}; proxy_temp_path {root}; fastcgi_temp_path {root};
             uwsgi_temp_path {root}; scgi_temp_path {root};
             server {{ listen {address}; root {root}; }}
         }}"
    );
    let file = folder.0.join("nginx.conf");
    fs::write(&file, configuration).unwrap();
    let child = Command::new("nginx")
        .arg("-c")
        .arg(&file)
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    Some(Server::new(
        "nginx".to_owned(),
        child,
        address,
        &format!("/{name}"),
    ))
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A directory with the picture; removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("imgforge-cache-hit-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        // nginx serves it as another user.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&path, open).unwrap();
        fs::copy(
            Path::new(env!("CARGO_MANIFEST_DIR")).join(PICTURE),
            path.join("picture.jpg"),
        )
        .unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
