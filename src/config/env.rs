//! Reading the environment; the only place that does.

use std::collections::BTreeMap;

use super::errors::{ConfigError, Warning};
use super::types::format::STRING;
use super::var::Var;
use super::{dotenv, secrets};

/// Where variables come from.
pub trait Env {
    /// The value of the variable `name`; what is not UTF-8 is replaced.
    fn get(&self, name: &str) -> Option<String>;

    /// The names of all variables.
    fn names(&self) -> Vec<String>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads")]
    fn get(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }

    #[expect(clippy::disallowed_methods, reason = "this is the place that reads")]
    fn names(&self) -> Vec<String> {
        std::env::vars_os()
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect()
    }
}

/// The environment of this process with the files that the command line names laid over it.
#[derive(Clone, Debug, Default)]
pub struct ArgsEnv(pub BTreeMap<String, String>);

impl Env for ArgsEnv {
    fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned().or_else(|| ProcessEnv.get(name))
    }

    fn names(&self) -> Vec<String> {
        let mut names = ProcessEnv.names();
        names.extend(self.0.keys().cloned());
        names
    }
}

/// Variables in memory, for tests and for programs that embed the server.
#[derive(Clone, Debug, Default)]
pub struct MapEnv(pub BTreeMap<String, String>);

impl MapEnv {
    /// The given names and values.
    pub fn new(pairs: &[(&str, &str)]) -> Self {
        Self(
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        )
    }
}

impl Env for MapEnv {
    fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// An environment with values laid over it.
pub struct Layered<'a> {
    base: &'a dyn Env,
    over: BTreeMap<String, String>,
}

impl std::fmt::Debug for Layered<'_> {
    // Values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.over.keys()).finish()
    }
}

impl<'a> Layered<'a> {
    /// `base` with nothing over it yet.
    pub fn new(base: &'a dyn Env) -> Self {
        Self {
            base,
            over: BTreeMap::new(),
        }
    }

    /// What was laid over the base.
    pub fn into_values(self) -> BTreeMap<String, String> {
        self.over
    }

    /// Overwrites a variable.
    pub fn set(&mut self, name: String, value: String) {
        self.over.insert(name, value);
    }

    /// Overwrites what `text` defines in the syntax of environment files.
    ///
    /// # Errors
    ///
    /// A line that cannot be read; nothing of the text counts then.
    pub fn set_all(&mut self, text: &str) -> Result<(), String> {
        let values = dotenv::parse(text, |name| self.get(name)).map_err(|e| e.to_string())?;
        self.over.extend(values);
        Ok(())
    }

    /// `base` with the local environment file that it names, if any, laid over it.
    ///
    /// A file that is missing or a folder only gives a warning. Rule: `spec/configuration.md` section 6.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or a line of it cannot.
    pub fn with_local_file(base: &'a dyn Env) -> Result<(Self, Option<Warning>), ConfigError> {
        let mut layered = Self::new(base);
        let Some(path) = secrets::value(base, &LOCAL_FILE) else {
            return Ok((layered, None));
        };
        let missing = |why: &str| Some(Warning::Note(format!("environment file {path} {why}")));
        match std::fs::metadata(&path) {
            Ok(m) if m.is_dir() => return Ok((layered, missing("is a folder and was not read"))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Ok((layered, missing("does not exist")));
            }
            _ => {}
        }
        let text = std::fs::read(&path).map_err(|e| {
            ConfigError::EnvFile(format!("can't read local environment file: {path}: {e}"))
        })?;
        layered.over = dotenv::parse(&String::from_utf8_lossy(&text), |name| base.get(name))
            .map_err(|e| {
                ConfigError::EnvFile(format!("can't parse config from local file: {path}: {e}"))
            })?;
        Ok((layered, None))
    }
}

impl Env for Layered<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.over.get(name).cloned().or_else(|| self.base.get(name))
    }

    fn names(&self) -> Vec<String> {
        let mut names = self.base.names();
        names.extend(self.over.keys().cloned());
        names.sort();
        names.dedup();
        names
    }
}

/// The name of this machine; `localhost` where the system does not say.
pub fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// Takes effect before the tables are read, so storing it would be pointless.
pub(super) const LOCAL_FILE: Var = Var::new(
    "ENV_LOCAL_FILE_PATH",
    "",
    STRING,
    "Path to a file of `NAME=value` lines. Its values overwrite those of the environment and of the services above; an \
     empty value unsets. A missing file gives a warning, a line that cannot be read stops the start.",
    |_, _| Ok(()),
)
.reloaded();

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> String {
        let path = std::env::temp_dir().join(format!("imgforge-env-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    }

    #[test]
    fn a_file_beats_the_environment() {
        let path = file(
            "beats",
            "IMGPROXY_TTL=7\nIMGPROXY_ENV_LOCAL_FILE_PATH=/elsewhere\nNEW=1\n",
        );
        let base = MapEnv::new(&[
            ("IMGPROXY_ENV_LOCAL_FILE_PATH", &path),
            ("IMGPROXY_TTL", "9"),
            ("OTHER", "x"),
        ]);
        let (env, warning) = Layered::with_local_file(&base).unwrap();
        assert_eq!(warning, None);
        assert_eq!(env.get("IMGPROXY_TTL").as_deref(), Some("7"));
        assert_eq!(env.get("OTHER").as_deref(), Some("x"));
        assert!(env.names().contains(&"NEW".to_owned()));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn files_that_do_not_count() {
        let folder = std::env::temp_dir().to_string_lossy().into_owned();
        for (path, warns) in [
            ("/imgforge/no/such/file", true),
            (folder.as_str(), true),
            (" ", false),
        ] {
            let base = MapEnv::new(&[("IMGPROXY_ENV_LOCAL_FILE_PATH", path), ("K", "v")]);
            let (env, warning) = Layered::with_local_file(&base).unwrap();
            assert_eq!(env.get("K").as_deref(), Some("v"));
            assert_eq!(warning.is_some(), warns, "{path}");
        }
    }

    #[test]
    fn a_bad_line_is_an_error() {
        let path = file("bad", "rubbish");
        let base = MapEnv::new(&[("IMGFORGE_ENV_LOCAL_FILE_PATH", &path)]);
        let error = Layered::with_local_file(&base).unwrap_err().to_string();
        assert!(
            error.starts_with("can't parse config from local file"),
            "{error}"
        );
        std::fs::remove_file(path).unwrap();
    }
}
