//! A scripted source: it answers each request with the steps a test gives it and keeps what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Debug)]
pub(super) enum Step {
    Send(Vec<u8>),
    Sleep(Duration),
    /// Ends the connection with a reset.
    Reset,
    /// Keeps the connection open and reads the next request.
    Next,
}

#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) connections: usize,
    pub(super) requests: Vec<String>,
    /// Connections whose peer went away.
    pub(super) closed: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) port: u16,
    pub(super) log: Arc<Mutex<Log>>,
}

impl Origin {
    /// Listens on `address`; `script` sees the path and the number of the request.
    pub(super) async fn start_on(
        address: &str,
        script: impl Fn(&str, usize) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let address = format!("{address}:0");
        Self::try_on(&address, script).await.unwrap()
    }

    /// Listens on an address with its port, unless that is taken.
    pub(super) async fn try_on(
        address: &str,
        script: impl Fn(&str, usize) -> Vec<Step> + Send + Sync + 'static,
    ) -> Option<Self> {
        let listener = TcpListener::bind(address).await.ok()?;
        let origin = Self {
            port: listener.local_addr().unwrap().port(),
            log: Arc::default(),
        };
        let log = Arc::clone(&origin.log);
        let script = Arc::new(script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                log.lock().unwrap().connections += 1;
                let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                tokio::spawn(async move {
                    serve(stream, &log, &*script).await;
                    log.lock().unwrap().closed += 1;
                });
            }
        });
        Some(origin)
    }

    pub(super) async fn start(
        script: impl Fn(&str, usize) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        Self::start_on("127.0.0.1", script).await
    }

    /// Always the same answer, after which the connection closes.
    pub(super) async fn fixed(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |_, _| vec![Step::Send(answer.clone())]).await
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.log.lock().unwrap().requests.clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    log: &Mutex<Log>,
    script: &(dyn Fn(&str, usize) -> Vec<Step> + Send + Sync),
) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let number = {
            let mut log = log.lock().unwrap();
            log.requests.push(head);
            log.requests.len() - 1
        };
        let mut next = false;
        for step in script(&path, number) {
            match step {
                Step::Send(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Step::Sleep(time) => {
                    let mut byte = [0];
                    // Reading meanwhile notices a peer that leaves.
                    if tokio::time::timeout(time, stream.read(&mut byte))
                        .await
                        .is_ok()
                    {
                        return;
                    }
                }
                Step::Reset => {
                    stream.set_zero_linger().unwrap();
                    return;
                }
                Step::Next => next = true,
            }
        }
        if !next {
            return;
        }
    }
}
