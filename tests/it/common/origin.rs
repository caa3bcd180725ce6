//! A real HTTP origin on loopback with scripted replies and a log of what it was asked.

use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What one path answers. Made with a constructor, changed with the methods.
#[derive(Clone, Debug, Default)]
pub struct Script {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    delay: Duration,
    chunked: bool,
    declared: Option<usize>,
    end: End,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, Default)]
enum End {
    /// Whole.
    #[default]
    Whole,
    /// The connection is closed after so many bytes.
    Cut(usize),
    /// The connection is reset after so many bytes.
    Reset(usize),
    /// Nothing more comes after so many bytes, until the client leaves.
    Stall(usize),
    /// The body comes byte by byte, with so long between them.
    Drip(Duration),
    /// Not even a head comes.
    Mute,
}

impl Script {
    /// 200 with a body and its type.
    pub fn file(body: impl Into<Vec<u8>>, content_type: &str) -> Self {
        let script = Self {
            status: 200,
            body: body.into(),
            ..Self::default()
        };
        script.header("Content-Type", content_type)
    }

    /// A file of `tests/images`, with the type that its name suggests.
    pub fn image(name: &str) -> Self {
        Self::file(super::pictures::file(name), super::pictures::mime(name))
    }

    /// A status with a short text.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::file("no picture", "text/plain")
        }
    }

    /// The same with another status.
    pub fn answering(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// 302 or another redirect.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header("Location", location)
    }

    /// Adds a header line.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Waits before the head.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sends chunks instead of a length.
    pub fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// Declares another length than the body has.
    pub fn declared(mut self, length: usize) -> Self {
        self.declared = Some(length);
        self
    }

    /// Compresses the body and says so.
    pub fn gzip(mut self) -> Self {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&self.body).unwrap();
        self.body = encoder.finish().unwrap();
        self.header("Content-Encoding", "gzip")
    }

    /// Closes after so many bytes of the body.
    pub fn cut(mut self, after: usize) -> Self {
        self.end = End::Cut(after);
        self
    }

    /// Resets the connection after so many bytes of the body.
    pub fn reset(mut self, after: usize) -> Self {
        self.end = End::Reset(after);
        self
    }

    /// Sends nothing more after so many bytes of the body.
    pub fn stall(mut self, after: usize) -> Self {
        self.end = End::Stall(after);
        self
    }

    /// Sends the body byte by byte, with so long between them.
    pub fn drip(mut self, pause: Duration) -> Self {
        self.end = End::Drip(pause);
        self
    }

    /// Accepts the request and never answers.
    pub fn mute() -> Self {
        Self {
            end: End::Mute,
            ..Self::status(200)
        }
    }
}

/// One request that came in.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The request target.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As long as `Content-Length` says; empty without it.
    pub body: Vec<u8>,
}

impl Asked {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let line = self.headers.iter().find(|(n, _)| n == name);
        line.map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Default)]
struct State {
    scripts: HashMap<String, Script>,
    fallback: Option<Script>,
    asked: Vec<Asked>,
    connections: usize,
    abandoned: usize,
}

/// The running origin; its task ends with the test's runtime.
#[derive(Clone, Debug)]
pub struct Origin {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Origin {
    /// An origin on 127.0.0.1.
    pub async fn start() -> Self {
        Self::start_on("127.0.0.1").await
    }

    /// An origin on another loopback address.
    pub async fn start_on(ip: &str) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { addr, state }
    }

    /// Sets what a path answers; the query is part of the path.
    pub fn on(&self, path: &str, script: Script) -> &Self {
        self.state
            .lock()
            .unwrap()
            .scripts
            .insert(path.to_owned(), script);
        self
    }

    /// Sets what every other path answers; 404 without it.
    pub fn otherwise(&self, script: Script) -> &Self {
        self.state.lock().unwrap().fallback = Some(script);
        self
    }

    /// `http://127.0.0.1:port` and the path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// The requests for a path so far.
    pub fn asked(&self, path: &str) -> Vec<Asked> {
        let state = self.state.lock().unwrap();
        state
            .asked
            .iter()
            .filter(|asked| asked.path == path)
            .cloned()
            .collect()
    }

    /// The paths of all requests so far, in order.
    pub fn order(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.asked.iter().map(|asked| asked.path.clone()).collect()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    /// Stalled answers whose client has left.
    pub fn abandoned(&self) -> usize {
        self.state.lock().unwrap().abandoned
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    while let Some(asked) = read_request(&mut stream).await {
        let script = {
            let mut state = state.lock().unwrap();
            state.asked.push(asked.clone());
            let known = state.scripts.get(&asked.path).or(state.fallback.as_ref());
            known.cloned().unwrap_or_else(|| Script::status(404))
        };
        tokio::time::sleep(script.delay).await;
        let goes_on = answer(&mut stream, &script, &state).await;
        if !goes_on || asked.header("connection") == Some("close") {
            return;
        }
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let path = lines.first()?.split(' ').nth(1)?.to_owned();
    let headers = lines.iter().skip(1).filter_map(|line| line.split_once(':'));
    let mut asked = Asked {
        path,
        headers: headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect(),
        body: Vec::new(),
    };
    let length = asked.header("content-length").unwrap_or("0");
    asked.body = vec![0; length.parse().ok()?];
    stream.read_exact(&mut asked.body).await.ok()?;
    Some(asked)
}

/// Sends what the script says; false where the connection ends with it.
async fn answer(stream: &mut BufReader<TcpStream>, script: &Script, state: &Mutex<State>) -> bool {
    if let End::Mute = script.end {
        return wait_for_leave(stream, state).await;
    }
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", script.status);
    for (name, value) in &script.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if script.chunked {
        head.push_str("Transfer-Encoding: chunked\r\n");
    } else {
        let length = script.declared.unwrap_or(script.body.len());
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    head.push_str("\r\n");
    let sent = match script.end {
        End::Cut(n) | End::Reset(n) | End::Stall(n) => n.min(script.body.len()),
        End::Drip(_) => 0,
        End::Whole | End::Mute => script.body.len(),
    };
    let mut bytes = head.into_bytes();
    if script.chunked {
        for chunk in script.body[..sent].chunks(1024) {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
    } else {
        bytes.extend_from_slice(&script.body[..sent]);
    }
    if script.chunked && matches!(script.end, End::Whole) {
        bytes.extend_from_slice(b"0\r\n\r\n");
    }
    if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
        return false;
    }
    match script.end {
        End::Whole => script.declared.is_none(),
        End::Stall(_) | End::Mute => wait_for_leave(stream, state).await,
        End::Cut(_) => false,
        End::Drip(pause) => {
            for byte in &script.body {
                tokio::time::sleep(pause).await;
                if stream.write_all(&[*byte]).await.is_err() || stream.flush().await.is_err() {
                    return false;
                }
            }
            true
        }
        End::Reset(_) => {
            // What was sent has to arrive before the reset overtakes it.
            tokio::time::sleep(Duration::from_millis(200)).await;
            let socket = socket2::SockRef::from(stream.get_ref());
            socket.set_linger(Some(Duration::ZERO)).unwrap();
            false
        }
    }
}

/// Waits until the client has closed its side, and counts it; always false.
async fn wait_for_leave(stream: &mut BufReader<TcpStream>, state: &Mutex<State>) -> bool {
    let mut rest = [0; 64];
    while matches!(stream.read(&mut rest).await, Ok(n) if n > 0) {}
    state.lock().unwrap().abandoned += 1;
    false
}
