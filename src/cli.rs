//! The command line: which command was meant, and everything but serving. Rule: `spec/configuration.md` section 8.

mod health;
mod purge;

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::config::env::Layered;
use crate::config::var::DefaultValue;
use crate::config::{
    ArgsEnv, Config, Env, LogConfig, ProcessEnv, SECTIONS, SectionSettings, Setting, effective,
};
use crate::error::on_one_line;
use crate::secrets::{self, SecretsError};
use crate::{docgen, logging};

/// Where the variables come from, as long as the program runs.
pub type SharedEnv = Arc<dyn Env + Send + Sync>;

/// Runs the command in `args` (without the program's name). `serve` runs the server until it is stopped.
pub fn run<E: Error + 'static>(
    args: &[String],
    serve: impl FnOnce(Config, SharedEnv) -> Result<(), E>,
) -> ExitCode {
    let (command, files) = match parse(args) {
        Ok(parsed) => parsed,
        Err(Usage { message, code }) => {
            complain(&format!("{message}\n\n{USAGE}"));
            return ExitCode::from(code);
        }
    };
    let result = match command {
        Command::Serve { ignored } => match with_secrets(files) {
            Ok(env) => return start(ignored, env, serve),
            Err((files, error)) => {
                let _ = logging::init(&LogConfig::load_leniently(&files), None);
                logging::critical(&on_one_line(&error));
                return ExitCode::FAILURE;
            }
        },
        Command::Health => health::run(&ProcessEnv),
        Command::Purge(target) => {
            purge::run(&ProcessEnv, &target).and_then(|answer| print(&answer))
        }
        Command::Version => print(concat!(env!("CARGO_PKG_VERSION"), "\n")),
        Command::Config => with_secrets(files)
            .map_err(|(_, error)| on_one_line(&error))
            .and_then(|env| print_config(&*env)),
        Command::Docs { check } => docs(Path::new("."), check),
        Command::Help { long } => print(&help(long)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            complain(&message);
            ExitCode::FAILURE
        }
    }
}

/// Lays what the secret stores hold over the environment, once; a reload finds the same.
fn with_secrets(mut env: ArgsEnv) -> Result<SharedEnv, (ArgsEnv, SecretsError)> {
    match secrets::load(&env).map(Layered::into_values) {
        Ok(values) => {
            env.0.extend(values);
            Ok(Arc::new(env))
        }
        Err(error) => Err((env, error)),
    }
}

/// What the arguments ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Command {
    /// Run the server. imgproxy does so on words that it does not know, which is kept, with a warning.
    Serve { ignored: Option<String> },
    /// Ask a running server how it is.
    Health,
    /// Tell a running server to forget results and sources.
    Purge(purge::Target),
    /// Print the version.
    Version,
    /// Print the effective configuration.
    Config,
    /// Write or compare the generated documentation.
    Docs { check: bool },
    /// Explain the program; `long` lists the variables.
    Help { long: bool },
}

/// A mistake in the arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Usage {
    message: String,
    code: u8,
}

/// The command, and the variables that flags stand for.
fn parse(args: &[String]) -> Result<(Command, ArgsEnv), Usage> {
    let mut files = ArgsEnv::default();
    let mut rest = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let (flag, value) = match arg.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (arg.as_str(), None),
        };
        let bare = flag
            .strip_prefix('-')
            .map(|f| f.strip_prefix('-').unwrap_or(f));
        let Some((_, variable)) = FILES.iter().find(|(name, _)| bare == Some(name)) else {
            rest.push(arg.as_str());
            continue;
        };
        let value = value
            .or_else(|| args.next().cloned())
            .ok_or_else(|| Usage {
                message: format!("{flag} needs a path"),
                code: 1,
            })?;
        files.0.insert((*variable).to_owned(), value);
    }
    Ok((command(&rest)?, files))
}

fn command(args: &[&str]) -> Result<Command, Usage> {
    if let ["purge", rest @ ..] = args
        && !rest
            .iter()
            .any(|arg| ["help", "h", "-h", "-help", "--help"].contains(arg))
    {
        return purge::Target::parse(rest)
            .map(Command::Purge)
            .ok_or_else(|| Usage {
                message: "purge needs one of --url, --source, --prefix, --all".to_owned(),
                code: 1,
            });
    }
    let mut words = Vec::new();
    let mut check = false;
    let (mut version, mut config) = (false, false);
    let mut rest = args.iter().copied();
    for arg in rest.by_ref() {
        match arg {
            "--" => break,
            "-h" => return Ok(Command::Help { long: false }),
            "-help" | "--help" => return Ok(Command::Help { long: true }),
            "--version" | "-V" if words.is_empty() => version = true,
            "--print-config" if words.is_empty() => config = true,
            "--check" if words.first() == Some(&"docs") => check = true,
            flag if flag.starts_with('-') && flag.len() > 1 => {
                return Err(Usage {
                    message: format!("unknown flag: {flag}"),
                    code: 1,
                });
            }
            word => words.push(word),
        }
    }
    words.extend(rest);
    if version {
        return Ok(Command::Version);
    }
    if config {
        return Ok(Command::Config);
    }
    let second = words.get(1).copied();
    let command = match words.first().copied() {
        None => return Ok(Command::Serve { ignored: None }),
        Some("help" | "h") => {
            return match second {
                None => Ok(Command::Help { long: true }),
                Some(word) if COMMANDS.contains(&word) => Ok(Command::Help { long: false }),
                Some(word) => Err(Usage {
                    message: format!("no help for: {word}"),
                    code: 3,
                }),
            };
        }
        Some("health") => Command::Health,
        Some("purge") => return Ok(Command::Help { long: false }),
        Some("version") => Command::Version,
        Some("config") => Command::Config,
        Some("docs") => Command::Docs { check },
        Some(word) => {
            return Ok(Command::Serve {
                ignored: Some(word.to_owned()),
            });
        }
    };
    match second {
        Some("help" | "h") => Ok(Command::Help { long: false }),
        _ => Ok(command),
    }
}

fn start<E: Error + 'static>(
    ignored: Option<String>,
    env: SharedEnv,
    serve: impl FnOnce(Config, SharedEnv) -> Result<(), E>,
) -> ExitCode {
    let (config, warnings) = match Config::load(&*env) {
        Ok(loaded) => loaded,
        Err(errors) => {
            // That syslog is missing as well is the least of the mistakes.
            let _ = logging::init(&LogConfig::load_leniently(&*env), None);
            if let [only] = errors.0.as_slice() {
                logging::critical(&only.to_string());
            } else {
                for error in &errors.0 {
                    tracing::error!("{error}");
                }
                let count = errors.0.len();
                logging::critical(&format!(
                    "the configuration has {count} mistakes, not starting"
                ));
            }
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = logging::init(&config.logging, config.exported_log_level()) {
        logging::critical(&error.to_string());
        return ExitCode::FAILURE;
    }
    if let Some(word) = ignored {
        tracing::warn!(word, "unknown command ignored, starting the server");
    }
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    match serve(config, env) {
        Ok(()) => {
            logging::flush(LAST_LINES);
            ExitCode::SUCCESS
        }
        Err(error) => {
            logging::critical(&on_one_line(&error));
            ExitCode::FAILURE
        }
    }
}

fn print_config(env: &dyn Env) -> Result<(), String> {
    let (sections, warnings) = effective(env).map_err(|e| e.to_string())?;
    for warning in warnings {
        complain(&warning.to_string());
    }
    let mut text = String::new();
    for SectionSettings { title, settings } in sections {
        let _ = writeln!(text, "# {title}");
        for Setting {
            name,
            value,
            is_set,
        } in settings
        {
            let value = if value.contains(char::is_control) {
                format!("{value:?}")
            } else {
                value
            };
            let mark = if is_set { "" } else { "  # default" };
            let _ = writeln!(text, "{name}={value}{mark}");
        }
        text.push('\n');
    }
    print(&text)
}

/// Writes the generated files below `root`, or says which of them are not current.
fn docs(root: &Path, check: bool) -> Result<(), String> {
    let mut stale = Vec::new();
    for document in docgen::documents() {
        let path = root.join(document.path);
        let current = std::fs::read_to_string(&path).unwrap_or_default();
        let wanted = document.apply(&current);
        if current == wanted {
            continue;
        }
        if check {
            stale.push(document.path);
            continue;
        }
        let write = || {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(&path, &wanted)
        };
        write().map_err(|e| format!("can't write {}: {e}", path.display()))?;
    }
    if stale.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "not current, run `imgforge docs`: {}",
            stale.join(", ")
        ))
    }
}

fn help(long: bool) -> String {
    let mut text = format!("imgforge {}\n\n{USAGE}", env!("CARGO_PKG_VERSION"));
    if !long {
        text.push_str("\n`imgforge --help` lists the variables.\n");
        return text;
    }
    text.push_str("\nVariables, with their defaults (docs/configuration.md explains them):\n");
    for section in SECTIONS {
        let _ = writeln!(text, "\n{}:", section.title);
        for var in section.vars {
            let (DefaultValue::Text(default) | DefaultValue::Computed(default)) = var.default;
            let name = var.documented_name();
            let _ = writeln!(text, "  {name:<44} {default}");
        }
    }
    text
}

/// Standard output; that nobody reads it is no mistake.
fn print(text: &str) -> Result<(), String> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.to_string()),
        _ => Ok(()),
    }
}

/// Standard error; there is nowhere to report a failure to.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// How long the last lines may take to reach syslog.
const LAST_LINES: Duration = Duration::from_secs(2);

const COMMANDS: [&str; 7] = ["help", "h", "health", "purge", "version", "config", "docs"];

/// Flags of imgproxy 3, and the variables that they stand for.
const FILES: [(&str, &str); 3] = [
    ("keypath", "IMGFORGE_KEY_PATH"),
    ("saltpath", "IMGFORGE_SALT_PATH"),
    ("presets", "IMGPROXY_PRESETS_PATH"),
];

const USAGE: &str = "\
Usage: imgforge [command] [flags]

Without a command the server runs. It is configured by environment variables.

Commands:
  health          ask the running server for its health; exit code 0 if it is well
  purge           make the running server forget: --url <URL>, --source <URL>, --prefix <text>, or --all
  version         print the version (also --version, -V)
  config          print the effective configuration, secrets hidden (also --print-config)
  docs [--check]  write the generated documentation, or only check that it is current
  help            print this text (also -h, --help)

Flags:
  -keypath PATH   file with one hex-encoded key a line (IMGFORGE_KEY_PATH)
  -saltpath PATH  file with one hex-encoded salt a line (IMGFORGE_SALT_PATH)
  -presets PATH   file with one preset a line (IMGPROXY_PRESETS_PATH)
";

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, u8> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&args)
            .map(|(command, _)| command)
            .map_err(|usage| usage.code)
    }

    #[test]
    fn command_lines() {
        let help = |long| Ok(Command::Help { long });
        for (line, expected) in [
            ("", Ok(Command::Serve { ignored: None })),
            (
                "serve-please",
                Ok(Command::Serve {
                    ignored: Some("serve-please".into()),
                }),
            ),
            ("health", Ok(Command::Health)),
            ("version", Ok(Command::Version)),
            ("version more words", Ok(Command::Version)),
            ("--version", Ok(Command::Version)),
            ("-V", Ok(Command::Version)),
            ("config", Ok(Command::Config)),
            ("--print-config", Ok(Command::Config)),
            ("-keypath k --saltpath=s config", Ok(Command::Config)),
            ("-keypath", Err(1)),
            ("docs", Ok(Command::Docs { check: false })),
            ("docs --check", Ok(Command::Docs { check: true })),
            ("help", help(true)),
            ("h", help(true)),
            ("-help", help(true)),
            ("--help", help(true)),
            ("-h", help(false)),
            ("help version", help(false)),
            ("health -h", help(false)),
            ("health help", help(false)),
            ("purge help", help(false)),
            ("help purge", help(false)),
            ("purge", Err(1)),
            ("purge --everything", Err(1)),
            ("help nothing", Err(3)),
            ("--no-such-flag", Err(1)),
            ("-z", Err(1)),
            ("-v", Err(1)),
            ("version --no-such-flag", Err(1)),
            ("--check", Err(1)),
            ("health --check", Err(1)),
        ] {
            assert_eq!(parsed(line), expected, "{line:?}");
        }
    }

    #[test]
    fn flags_stand_for_variables() {
        let args = ["-keypath", "/k", "--saltpath=/s", "-presets=/p"].map(str::to_owned);
        let (command, ArgsEnv(files)) = parse(&args).unwrap();
        assert_eq!(command, Command::Serve { ignored: None });
        let files: Vec<_> = files
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            files,
            [
                ("IMGFORGE_KEY_PATH", "/k"),
                ("IMGFORGE_SALT_PATH", "/s"),
                ("IMGPROXY_PRESETS_PATH", "/p")
            ]
        );
    }

    #[test]
    fn help_names_everything() {
        let text = help(true);
        for var in crate::config::vars() {
            assert!(text.contains(&var.documented_name()), "{}", var.name);
        }
        for command in ["health", "version", "config", "docs", "help"] {
            assert!(help(false).contains(&format!("\n  {command}")), "{command}");
        }
    }

    #[test]
    fn documents_are_written_and_checked() {
        let root = std::env::temp_dir().join(format!("imgforge-docs-{}", std::process::id()));
        let message = docs(&root, true).unwrap_err();
        assert!(message.contains("docs/configuration.md"), "{message}");
        docs(&root, false).unwrap();
        docs(&root, true).unwrap();
        std::fs::write(root.join("docs/errors.md"), "old").unwrap();
        assert!(docs(&root, true).unwrap_err().ends_with("docs/errors.md"));
        std::fs::remove_dir_all(root).unwrap();
    }
}
