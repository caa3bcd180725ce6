//! Prints a signed URL.
//!
//! ```sh
//! cargo run --example sign_url -- --key 736563726574 --salt 68656c6c6f --options rs:fill:300:200 \
//!     --source https://example.com/cat.jpg --extension webp --base-url http://localhost:8080
//! ```
//!
//! Without `--key` and `--salt`, `IMGPROXY_KEY` and `IMGPROXY_SALT`, or `IMGFORGE_KEY` and `IMGFORGE_SALT`, count; of a
//! list the first pair. Keys on a command line are visible to other users of the machine, so prefer the variables.

use std::fmt::Write;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("sign_url: {message}\n\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the URL is what this program is for")]
fn print(text: &str) {
    println!("{text}");
}

fn run(args: impl Iterator<Item = String>) -> Result<String, String> {
    let args: Vec<String> = args.collect();
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        return Ok(USAGE.to_owned());
    }
    let request = Request::read(args.into_iter())?;
    let key = unhex("key", &secret(request.key, "KEY")?)?;
    let salt = unhex("salt", &secret(request.salt, "SALT")?)?;
    let source = request.source.ok_or("--source is missing")?;
    let options = request.options.trim_matches('/').to_owned();
    let size = request.signature_size;
    if !(1..=32).contains(&size) {
        return Err(format!("--signature-size is {size}, not 1 to 32"));
    }

    let mut path = String::new();
    if !options.is_empty() {
        path = format!("/{options}");
    }
    let extension = request.extension;
    if request.plain {
        let _ = write!(path, "/plain/{}", utf8_percent_encode(&source, ESCAPED));
        if !extension.is_empty() {
            let _ = write!(path, "@{extension}");
        }
    } else {
        let _ = write!(path, "/{}", URL_SAFE_NO_PAD.encode(&source));
        if !extension.is_empty() {
            let _ = write!(path, ".{extension}");
        }
    }
    let signature = imgforge::sign(&key, &salt, &path, size);
    let base = request.base_url.trim_end_matches('/');
    Ok(format!("{base}/{signature}{path}"))
}

struct Request {
    key: Option<String>,
    salt: Option<String>,
    options: String,
    source: Option<String>,
    extension: String,
    base_url: String,
    plain: bool,
    signature_size: usize,
}

impl Request {
    fn read(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut request = Self {
            key: None,
            salt: None,
            options: String::new(),
            source: None,
            extension: String::new(),
            base_url: String::new(),
            plain: false,
            signature_size: 32,
        };
        while let Some(name) = args.next() {
            let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
            match &*name {
                "--key" => request.key = Some(value),
                "--salt" => request.salt = Some(value),
                "--options" => request.options = value,
                "--source" => request.source = Some(value).filter(|source| !source.is_empty()),
                "--extension" => request.extension = value,
                "--base-url" => request.base_url = value,
                "--encode" => {
                    request.plain = match &*value {
                        "plain" => true,
                        "base64" => false,
                        _ => return Err(format!("--encode is {value}, not base64 or plain")),
                    }
                }
                "--signature-size" => {
                    let message = |_| format!("--signature-size is {value}, not a number");
                    request.signature_size = value.parse().map_err(message)?;
                }
                _ => return Err(format!("unknown argument {name}")),
            }
        }
        Ok(request)
    }
}

/// The given text, or the first element of the variable with this name.
#[expect(
    clippy::disallowed_methods,
    reason = "an example of its own, not the server, which reads the environment in one place"
)]
fn secret(given: Option<String>, name: &str) -> Result<String, String> {
    let variable = |prefix: &str| std::env::var(format!("{prefix}_{name}")).ok();
    let list = given
        .or_else(|| variable("IMGPROXY"))
        .or_else(|| variable("IMGFORGE"))
        .ok_or_else(|| {
            let flag = name.to_lowercase();
            format!("--{flag} is missing, and IMGPROXY_{name} and IMGFORGE_{name} are not set")
        })?;
    Ok(list.split(',').next().unwrap_or_default().trim().to_owned())
}

fn unhex(name: &str, text: &str) -> Result<Vec<u8>, String> {
    let message = || format!("the {name} is not a hexadecimal text of even length");
    if text.is_empty() || text.len() % 2 == 1 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(message());
    }
    text.as_bytes()
        .chunks(2)
        .map(|pair| {
            let digits = std::str::from_utf8(pair).map_err(|_| message())?;
            u8::from_str_radix(digits, 16).map_err(|_| message())
        })
        .collect()
}

/// What would end a plain source URL, or would not survive in a request line.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'%')
    .add(b'?')
    .add(b'#')
    .add(b'@')
    .add(b'"')
    .add(b'<')
    .add(b'>');

const USAGE: &str =
    "usage: sign_url --source URL [--key HEX] [--salt HEX] [--options OPTIONS] [--extension EXT]
                [--base-url URL] [--encode base64|plain] [--signature-size BYTES]";
