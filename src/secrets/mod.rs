//! Loading variables from secret stores, before anything else is read. Rule: `spec/configuration.md` section 6.
//!
//! Owns the order of the stores and the texts of their failures. What the variables mean is the configuration's.

mod aws;
mod google;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::cloud::{Cloud, CloudError, Connection};
use crate::config::Env;
use crate::config::env::Layered;
use crate::config::secrets::{AwsParameters, AwsSecret, GoogleSecret};
use crate::source::{SourceConfigError, cloud_client};

/// Why the environment could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The settings of AWS's tools cannot be used for Secrets Manager.
    #[error("can't load AWS Secrets Manager config: {0}")]
    AwsSecretConfig(#[source] CloudError),
    /// The secret could not be had.
    #[error("can't retrieve config from AWS Secrets Manager: {0}")]
    AwsSecret(#[source] CloudError),
    /// The secret has a line that is no variable.
    #[error("can't parse config from AWS Secrets Manager: {0}")]
    AwsSecretText(String),
    /// The settings of AWS's tools cannot be used for Parameter Store.
    #[error("can't load AWS SSM config: {0}")]
    AwsParametersConfig(#[source] CloudError),
    /// The parameters could not be had.
    #[error("can't retrieve parameters from AWS SSM: {0}")]
    AwsParameters(#[source] CloudError),
    /// The credential for Secret Manager cannot be used.
    #[error("can't create Google Cloud Secret Manager client: {0}")]
    GoogleClient(#[source] CloudError),
    /// The secret could not be had.
    #[error("can't get Google Cloud Secret Manager secret: {0}")]
    GoogleSecret(#[source] CloudError),
    /// The secret has a line that is no variable.
    #[error("can't parse config from GCP Secret Manager: {0}")]
    GoogleText(String),
    /// No client could be built.
    #[error("can't ask for secrets")]
    Client(#[from] SourceConfigError),
    /// The system gives no runtime.
    #[error("can't ask for secrets")]
    Runtime(#[from] std::io::Error),
}

/// `base` with everything over it that the stores it names hold; later stores win, and each sees what came before it.
/// Blocks; must not be called inside a runtime.
///
/// # Errors
///
/// The first store that fails.
pub fn load(base: &dyn Env) -> Result<Layered<'_>, SecretsError> {
    let wanted = AwsSecret::read(base).is_some()
        || AwsParameters::read(base).is_some()
        || GoogleSecret::read(base).is_some();
    if !wanted {
        return Ok(Layered::new(base));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let client: Arc<dyn Connection> = Arc::new(cloud_client()?);
    runtime.block_on(load_with(base, |env| {
        let values = env
            .names()
            .into_iter()
            .filter_map(|name| Some((name.clone(), env.get(&name)?)));
        Cloud::new(values, Arc::clone(&client))
    }))
}

/// The same with the way to the clouds given.
async fn load_with<'a>(
    base: &'a dyn Env,
    cloud: impl Fn(&dyn Env) -> Cloud,
) -> Result<Layered<'a>, SecretsError> {
    let mut env = Layered::new(base);
    if let Some(secret) = AwsSecret::read(&env) {
        let text = aws::secret(cloud(&env), &secret).await?;
        env.set_all(&text).map_err(SecretsError::AwsSecretText)?;
    }
    if let Some(parameters) = AwsParameters::read(&env) {
        for (name, value) in aws::parameters(cloud(&env), &parameters).await? {
            env.set(name, value);
        }
    }
    if let Some(secret) = GoogleSecret::read(&env) {
        let text = google::secret(&cloud(&env), &secret).await?;
        env.set_all(&text).map_err(SecretsError::GoogleText)?;
    }
    Ok(env)
}

/// Gives up after `limit`.
async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, CloudError>>,
) -> Result<T, CloudError> {
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(CloudError::TimedOut(limit)))
}
