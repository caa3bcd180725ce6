//! Azure storage accounts: shared keys and the default chain of identities.

use http::request::Parts;
use reqsign_azure_storage::{
    Credential, DefaultCredentialProvider, RequestSigner, StaticCredentialProvider,
};
use reqsign_core::Signer;

use super::{Cloud, CloudError, credentials_error};

/// Authenticates requests to one storage account.
#[derive(Clone, Debug)]
pub struct Azure {
    signer: Signer<Credential>,
}

impl Azure {
    /// With the shared key of `account` (Base64), or the identities of the environment where it is `None`: client
    /// certificate or secret, workload identity, managed identity, the Azure command line.
    pub fn new(cloud: &Cloud, account: &str, key: Option<&str>) -> Self {
        let context = cloud.context();
        let sign = RequestSigner::new();
        let signer = match key {
            Some(key) => {
                let key = StaticCredentialProvider::new_shared_key(account, key);
                Signer::new(context, key, sign)
            }
            None => Signer::new(context, DefaultCredentialProvider::new(), sign),
        };
        Self { signer }
    }

    /// Adds the header `Authorization`.
    ///
    /// # Errors
    ///
    /// No credentials could be found.
    pub async fn authorize(&self, parts: &mut Parts) -> Result<(), CloudError> {
        self.signer
            .sign(parts, None)
            .await
            .map_err(|error| credentials_error(&error))
    }
}
