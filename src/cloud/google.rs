//! Google Cloud: service-account keys, application default credentials, the metadata server.

use http::request::Parts;
use reqsign_core::{Context, ProvideCredential, Signer};
use reqsign_google::{
    Credential, DefaultCredentialProvider, EnvCredentialProvider, RequestSigner,
    ServiceAccountTokenCredentialProvider, StaticCredentialProvider, VmMetadataCredentialProvider,
    WellKnownCredentialProvider,
};
use serde_json::Value;

use super::{Cloud, CloudError, credentials_error};

/// Puts access tokens of one scope on requests, and renews them before they expire.
#[derive(Clone, Debug)]
pub struct Google {
    signer: Signer<Credential>,
}

impl Google {
    /// With the credentials in `key`, or the application default ones where it is `None`. No token is asked for yet.
    ///
    /// # Errors
    ///
    /// `key` is no JSON, of no known type, or lacks what its type needs.
    pub fn new(cloud: &Cloud, key: Option<&str>, scope: &str) -> Result<Self, CloudError> {
        let provider = match key {
            Some(key) => {
                check_key(key)?;
                Provider::Key(StaticCredentialProvider::new(key).with_scope(scope))
            }
            None => Provider::Default(
                DefaultCredentialProvider::builder()
                    .env(EnvCredentialProvider::new().with_scope(scope))
                    .well_known(WellKnownCredentialProvider::new().with_scope(scope))
                    .vm_metadata(VmMetadataCredentialProvider::new().with_scope(scope))
                    .build(),
            ),
        };
        let tokens = Tokens {
            provider,
            scope: scope.to_owned(),
        };
        let sign = RequestSigner::new("storage").with_scope(scope);
        Ok(Self {
            signer: Signer::new(cloud.context(), tokens, sign),
        })
    }

    /// Adds the header `Authorization`.
    ///
    /// # Errors
    ///
    /// No token could be had.
    pub async fn authorize(&self, parts: &mut Parts) -> Result<(), CloudError> {
        self.signer
            .sign(parts, None)
            .await
            .map_err(|error| credentials_error(&error))
    }
}

#[derive(Debug)]
enum Provider {
    Key(StaticCredentialProvider),
    Default(DefaultCredentialProvider),
}

/// Turns whatever credential is found into a token, so that the signer keeps the token and not the key behind it.
#[derive(Debug)]
struct Tokens {
    provider: Provider,
    scope: String,
}

impl ProvideCredential for Tokens {
    type Credential = Credential;

    async fn provide_credential(
        &self,
        context: &Context,
    ) -> reqsign_core::Result<Option<Credential>> {
        let found = match &self.provider {
            Provider::Key(key) => key.provide_credential(context).await?,
            Provider::Default(chain) => chain.provide_credential(context).await?,
        };
        match found
            .as_ref()
            .and_then(|found| found.service_account.clone())
        {
            Some(account) => {
                ServiceAccountTokenCredentialProvider::new(account)
                    .with_scope(&self.scope)
                    .provide_credential(context)
                    .await
            }
            None => Ok(found),
        }
    }
}

/// Refuses keys that can never work; the key itself is not tried.
fn check_key(key: &str) -> Result<(), CloudError> {
    let bad = |text: String| Err(CloudError::Settings(text));
    // The parser's own message would repeat parts of a secret.
    let Ok(value) = serde_json::from_str::<Value>(key) else {
        return bad("the key is not JSON".to_owned());
    };
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    match text("type") {
        "" => bad("the key has no type".to_owned()),
        "service_account" if text("client_email").is_empty() => {
            bad("the service account has no client_email".to_owned())
        }
        "service_account"
        | "authorized_user"
        | "external_account"
        | "impersonated_service_account" => Ok(()),
        other => bad(format!("unknown credential type {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for (key, good) in [
            (r#"{"type":"service_account","client_email":"a@b"}"#, true),
            (r#"{"type":"authorized_user"}"#, true),
            (r#"{"type":"service_account"}"#, false),
            (r#"{"type":"foo"}"#, false),
            (r"{}", false),
            ("rubbish", false),
            ("[]", false),
        ] {
            assert_eq!(check_key(key).is_ok(), good, "{key}");
        }
    }
}
