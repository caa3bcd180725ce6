//! Where the environment is loaded from, besides the process. Rule: `spec/configuration.md` section 6.
//!
//! Only names and values; the services themselves are asked above the configuration.

use super::env::Env;
use super::types::format::STRING;
use super::var::Var;

/// A secret of AWS Secrets Manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsSecret {
    /// `ENV_AWS_SECRET_ID`: name or ARN.
    pub id: String,
    /// `ENV_AWS_SECRET_VERSION_ID`.
    pub version_id: Option<String>,
    /// `ENV_AWS_SECRET_VERSION_STAGE`; does not count beside a version id.
    pub version_stage: Option<String>,
    /// `ENV_AWS_SECRET_REGION`.
    pub region: Option<String>,
}

impl AwsSecret {
    /// What `env` says, where it says anything.
    pub fn read(env: &dyn Env) -> Option<Self> {
        let version_id = value(env, &AWS_SECRET_VERSION_ID);
        Some(Self {
            id: value(env, &AWS_SECRET_ID)?,
            version_stage: value(env, &AWS_SECRET_VERSION_STAGE).filter(|_| version_id.is_none()),
            version_id,
            region: value(env, &AWS_SECRET_REGION),
        })
    }
}

/// Parameters of AWS Systems Manager Parameter Store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsParameters {
    /// `ENV_AWS_SSM_PARAMETERS_PATH`.
    pub path: String,
    /// `ENV_AWS_SSM_PARAMETERS_REGION`.
    pub region: Option<String>,
}

impl AwsParameters {
    /// What `env` says, where it says anything.
    pub fn read(env: &dyn Env) -> Option<Self> {
        Some(Self {
            path: value(env, &AWS_SSM_PATH)?,
            region: value(env, &AWS_SSM_REGION),
        })
    }
}

/// A secret of Google Cloud Secret Manager.
#[derive(Clone, PartialEq, Eq)]
pub struct GoogleSecret {
    /// `ENV_GCP_SECRET_ID`.
    pub id: String,
    /// `ENV_GCP_SECRET_VERSION_ID`.
    pub version: String,
    /// `ENV_GCP_SECRET_PROJECT_ID`.
    pub project: String,
    /// `ENV_GCP_KEY`: JSON of a credential.
    pub key: Option<String>,
}

impl std::fmt::Debug for GoogleSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GoogleSecret")
            .field("id", &self.id)
            .field("version", &self.version)
            .field("project", &self.project)
            .finish_non_exhaustive()
    }
}

impl GoogleSecret {
    /// What `env` says, where it says anything.
    pub fn read(env: &dyn Env) -> Option<Self> {
        Some(Self {
            id: value(env, &GCP_SECRET_ID)?,
            version: value(env, &GCP_SECRET_VERSION_ID).unwrap_or_else(|| "latest".to_owned()),
            project: value(env, &GCP_SECRET_PROJECT_ID).unwrap_or_default(),
            key: value(env, &GCP_KEY),
        })
    }
}

/// The value of `var` under any of its names, where it counts as set.
pub(super) fn value(env: &dyn Env, var: &Var) -> Option<String> {
    var.scope
        .prefixes()
        .iter()
        .filter_map(|prefix| env.get(&format!("{prefix}{}", var.name)))
        .find(|value| var.counts(value))
}

// These take effect before the tables are read, so storing them would be pointless.

const AWS_SECRET_ID: Var = Var::new(
    "ENV_AWS_SECRET_ID",
    "",
    STRING,
    "Name or ARN of a text secret in AWS Secrets Manager that holds `NAME=value` lines. Its values overwrite those of \
     the environment. Loaded first of all, with the credentials that AWS's own tools would find, within 30 seconds.",
    |_, _| Ok(()),
);

const AWS_SECRET_VERSION_ID: Var = Var::new(
    "ENV_AWS_SECRET_VERSION_ID",
    "",
    STRING,
    "Version of that secret; not set, the current one.",
    |_, _| Ok(()),
);

const AWS_SECRET_VERSION_STAGE: Var = Var::new(
    "ENV_AWS_SECRET_VERSION_STAGE",
    "",
    STRING,
    "Staging label of the version; does not count where a version is given.",
    |_, _| Ok(()),
);

const AWS_SECRET_REGION: Var = Var::new(
    "ENV_AWS_SECRET_REGION",
    "",
    STRING,
    "Region of that secret; not set, `AWS_REGION` or the profile's, else `us-west-1`.",
    |_, _| Ok(()),
);

const AWS_SSM_PATH: Var = Var::new(
    "ENV_AWS_SSM_PARAMETERS_PATH",
    "",
    STRING,
    "Path in AWS Systems Manager Parameter Store. Every text parameter below it, at any depth, overwrites a variable: \
     its name is the rest of the path with `_` for `/`. Loaded second, within 30 seconds.",
    |_, _| Ok(()),
);

const AWS_SSM_REGION: Var = Var::new(
    "ENV_AWS_SSM_PARAMETERS_REGION",
    "",
    STRING,
    "Region of those parameters; not set, `AWS_REGION` or the profile's, else `us-west-1`.",
    |_, _| Ok(()),
);

const GCP_SECRET_ID: Var = Var::new(
    "ENV_GCP_SECRET_ID",
    "",
    STRING,
    "Name of a secret in Google Cloud Secret Manager that holds `NAME=value` lines. Its values overwrite those of the \
     environment. Loaded third, within 60 seconds.",
    |_, _| Ok(()),
);

const GCP_SECRET_VERSION_ID: Var = Var::new(
    "ENV_GCP_SECRET_VERSION_ID",
    "latest",
    STRING,
    "Version of that secret.",
    |_, _| Ok(()),
);

const GCP_SECRET_PROJECT_ID: Var = Var::new(
    "ENV_GCP_SECRET_PROJECT_ID",
    "",
    STRING,
    "Project of that secret, by name or number.",
    |_, _| Ok(()),
);

const GCP_KEY: Var = Var::new(
    "ENV_GCP_KEY",
    "",
    STRING,
    "JSON of a Google Cloud credential that may read that secret, usually a service account's key. Not set, the \
     application default credentials count.",
    |_, _| Ok(()),
)
.secret();

pub(super) const VARS: &[Var] = &[
    AWS_SECRET_ID,
    AWS_SECRET_VERSION_ID,
    AWS_SECRET_VERSION_STAGE,
    AWS_SECRET_REGION,
    AWS_SSM_PATH,
    AWS_SSM_REGION,
    GCP_SECRET_ID,
    GCP_SECRET_VERSION_ID,
    GCP_SECRET_PROJECT_ID,
    GCP_KEY,
    super::env::LOCAL_FILE,
];
