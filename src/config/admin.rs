//! The admin listener.

use super::Env;
use super::draft::Draft;
use super::errors::{ConfigError, ConfigErrors};
use super::load::read;
use super::types::format::STRING;
use super::var::{Scope, Var};

/// Where and to whom the server is administered; without a `bind`, nowhere.
#[derive(Clone, Default)]
pub struct AdminConfig {
    /// `IMGFORGE_ADMIN_BIND`: `host:port`, `:port` or `port`; empty is off.
    pub bind: String,
    /// `IMGFORGE_ADMIN_TOKEN`; not empty where `bind` is set.
    pub token: String,
}

impl std::fmt::Debug for AdminConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminConfig")
            .field("bind", &self.bind)
            .finish_non_exhaustive()
    }
}

impl AdminConfig {
    /// Reads what a command needs that talks to a running server.
    ///
    /// # Errors
    /// One of the two variables is missing.
    pub fn load_for_commands(env: &dyn Env) -> Result<Self, ConfigErrors> {
        let mut draft = Draft::default();
        for var in VARS {
            read(var, env, &mut draft);
        }
        complete(&mut draft);
        if draft.config.admin.bind.is_empty() {
            let missing = "IMGFORGE_ADMIN_BIND must be set".to_owned();
            draft.errors.push(ConfigError::Together(missing));
        }
        if draft.errors.is_empty() {
            Ok(draft.config.admin)
        } else {
            Err(ConfigErrors(draft.errors))
        }
    }
}

pub(super) const VARS: &[Var] = &[
    Var::new(
        "ADMIN_BIND",
        "",
        "bind:port",
        "Where the server can be told to purge its caches: `host:port`, `:port` or `port`; not set, nowhere. Keep it on a \
         private network.",
        |d, v| {
            v.clone_into(&mut d.config.admin.bind);
            Ok(())
        },
    )
    .scope(Scope::Own),
    Var::new(
        "ADMIN_TOKEN",
        "",
        STRING,
        "The token that such a request has to carry, as `Authorization: Bearer <token>`. Required with \
         `IMGFORGE_ADMIN_BIND`.",
        |d, v| {
            v.clone_into(&mut d.config.admin.token);
            Ok(())
        },
    )
    .scope(Scope::Own)
    .secret(),
];

/// A listener without a token would be anybody's.
pub(super) fn complete(draft: &mut Draft) {
    let admin = &draft.config.admin;
    if !admin.bind.is_empty() && admin.token.is_empty() {
        draft.errors.push(ConfigError::Together(
            "IMGFORGE_ADMIN_TOKEN must be set where IMGFORGE_ADMIN_BIND is".to_owned(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{AdminConfig, Config, MapEnv};

    #[test]
    fn a_bind_needs_a_token() {
        let bind = ("IMGFORGE_ADMIN_BIND", "127.0.0.1:1");
        let token = ("IMGFORGE_ADMIN_TOKEN", "t");
        assert!(Config::from_pairs(&[bind]).is_err());
        assert!(Config::from_pairs(&[token]).is_ok());
        let config = Config::from_pairs(&[bind, token]).unwrap().admin;
        assert_eq!((&*config.bind, &*config.token), ("127.0.0.1:1", "t"));
        assert!(!format!("{config:?}").contains("\"t\""));
        let for_commands = |pairs: &[_]| AdminConfig::load_for_commands(&MapEnv::new(pairs));
        assert!(for_commands(&[token]).is_err());
        assert!(for_commands(&[bind]).is_err());
        assert!(for_commands(&[bind, token, ("IMGPROXY_QUALITY", "x")]).is_ok());
    }
}
