//! Recorded results: what the server makes of the pictures in `tests/images/scene`, compared with `tests/golden`.
//!
//! One text file is one suite. Its lines are read by [`line`]; what is recorded of a picture is in [`picture`].
//! `UPDATE_GOLDEN=1` fills in lines that have nothing recorded, `UPDATE_GOLDEN=replace` also those that differ. A failure
//! leaves the file as it would be now, and the results that differ, in `target/golden`.

mod line;
mod picture;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::common::pictures::mime;
use crate::common::server::image_path;
use crate::common::{Origin, Script, Server};
use line::{Case, Line};
use picture::Picture;

macro_rules! suites {
    ($($name:ident)*) => {
        /// The suites by the names of their files, without the ending.
        const SUITES: &[&str] = &[$(stringify!($name)),*];
        $(
            #[tokio::test]
            async fn $name() {
                run(stringify!($name)).await;
            }
        )*
    };
}

suites! {
    animation arguments colour convert crop effects extend fallback gravity linear metadata negotiation orientation
    quality resize save scale svg trim watermark
}

#[test]
fn every_file_is_a_suite() {
    let mut files: Vec<String> = std::fs::read_dir(folder("tests/golden"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let suites: Vec<String> = SUITES.iter().map(|name| format!("{name}.txt")).collect();
    assert_eq!(files, suites);
}

/// What the environment asks to do with the recordings.
#[derive(Clone, Copy, PartialEq)]
enum Update {
    Nothing,
    Missing,
    Replace,
}

impl Update {
    #[expect(
        clippy::disallowed_methods,
        reason = "the switch belongs to the test, not to the configuration"
    )]
    fn asked() -> Self {
        match std::env::var("UPDATE_GOLDEN").as_deref() {
            Err(_) | Ok("" | "0") => Self::Nothing,
            Ok("1") => Self::Missing,
            Ok("replace") => Self::Replace,
            Ok(other) => panic!("UPDATE_GOLDEN={other}: 1 or replace"),
        }
    }
}

async fn run(suite: &str) {
    let update = Update::asked();
    let file = folder("tests/golden").join(format!("{suite}.txt"));
    let text = std::fs::read_to_string(&file).unwrap();
    let origin = origin().await;
    let mut server = None;
    let (mut now, mut wrong) = (String::new(), Vec::new());
    let (mut moved, mut noticed) = (0, 0);
    for (number, text) in text.lines().enumerate() {
        let place = format!("{suite}.txt:{}", number + 1);
        match Line::parse(text).unwrap_or_else(|error| panic!("{place}: {error}")) {
            Line::Plain => now.push_str(text),
            Line::Server(variables) => {
                server = Some(start(&variables, &origin).await);
                now.push_str(text);
            }
            Line::Case(case) => {
                let server = server.as_ref().expect("a line `server` before the cases");
                let (bytes, found) = ask(server, &origin, &case).await;
                let missing = case.recorded.is_none();
                let comparable = case.holds_for(imgforge::vips::version())
                    && picture::can_be_read(&case.source)
                    && case.recorded.as_ref().is_none_or(Picture::can_be_written);
                let difference = match &case.recorded {
                    _ if !comparable => None,
                    None => Some("nothing is recorded; UPDATE_GOLDEN=1 does".to_owned()),
                    Some(recorded) => recorded.difference(&found, case.within()),
                };
                if let (Some(recorded), None, Some(shifted)) = (
                    case.recorded.as_ref().filter(|_| comparable),
                    &difference,
                    found.shifted(&bytes),
                ) {
                    moved += 1;
                    noticed += usize::from(recorded.difference(&shifted, case.within()).is_some());
                }
                let write = match update {
                    Update::Nothing => false,
                    Update::Missing => missing,
                    Update::Replace => difference.is_some(),
                };
                if write {
                    now.push_str(&case.with(&found));
                } else {
                    now.push_str(text);
                    if let Some(difference) = difference {
                        keep(&format!("{suite}-{}", number + 1), &bytes);
                        wrong.push(format!("{place}: {difference}\n  {}", case.with(&found)));
                    }
                }
            }
        }
        now.push('\n');
    }
    if now != text {
        std::fs::write(&file, &now).unwrap();
    }
    assert!(
        wrong.is_empty(),
        "{} of the cases differ; the results are in target/golden\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // The tolerances hide rounding, not a picture that lies beside its place.
    assert!(
        noticed * 10 >= moved * 8,
        "{suite}: only {noticed} of {moved} results that are moved by one pixel would be noticed"
    );
}

/// Every picture of the folder, under its name.
async fn origin() -> Origin {
    let origin = Origin::start().await;
    for entry in std::fs::read_dir(folder(SCENE)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let script = Script::file(std::fs::read(entry.path()).unwrap(), mime(&name));
        origin.on(&format!("/{name}"), script);
    }
    origin
        .on("/gone.jpg", Script::status(404))
        .on("/broken.png", Script::image("broken.png"));
    origin
}

async fn start(variables: &[(String, String)], origin: &Origin) -> Server {
    let scene = folder(SCENE);
    let filled: Vec<(&str, String)> = variables
        .iter()
        .map(|(name, value)| {
            let value = match value.strip_prefix("base64:") {
                Some(file) => STANDARD.encode(std::fs::read(scene.join(file)).unwrap()),
                None => value
                    .replace("{scene}", scene.to_str().unwrap())
                    .replace("{origin}", &origin.url("")),
            };
            (name.as_str(), value)
        })
        .collect();
    let pairs: Vec<(&str, &str)> = filled.iter().map(|(n, v)| (*n, v.as_str())).collect();
    Server::start(&pairs).await
}

async fn ask(server: &Server, origin: &Origin, case: &Case) -> (Vec<u8>, Picture) {
    let source = origin.url(&format!("/{}", case.source));
    let headers: Vec<(&str, &str)> = case.accept.iter().map(|v| ("Accept", v.as_str())).collect();
    let reply = server
        .get_with(&image_path(&case.options, &source), &headers)
        .await;
    let picture = Picture::of(reply.status, &reply.body);
    (reply.body, picture)
}

fn keep(name: &str, bytes: &[u8]) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../golden");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), bytes).unwrap();
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

const SCENE: &str = "tests/images/scene";
