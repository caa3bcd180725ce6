//! Keys of encrypted objects: the key service takes their wrapping off. Rule: `spec/sources.md` section 5.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::s3_envelope::{Envelope, refused};
use crate::cloud::CloudError;
use crate::cloud::aws::{Aws, JsonApi, Role};
use crate::source::FetchError;
use crate::source::seal::Seal;

/// The key service of every region that objects were found in. Any key will do that the credentials may use.
#[derive(Debug)]
pub(super) struct Keys {
    aws: Aws,
    role: Option<Role>,
    apis: Mutex<HashMap<String, JsonApi>>,
}

impl Keys {
    pub(super) fn new(aws: &Aws, role: Option<&Role>) -> Self {
        Self {
            aws: aws.clone(),
            role: role.cloned(),
            apis: Mutex::default(),
        }
    }

    /// The seal of an object in `region`.
    ///
    /// # Errors
    ///
    /// The service refuses the key, or gives another one than that of the object.
    pub(super) async fn seal(&self, envelope: &Envelope, region: &str) -> Result<Seal, FetchError> {
        let question = json!({
            "CiphertextBlob": STANDARD.encode(&envelope.wrapped_key),
            "EncryptionContext": envelope.context,
        });
        let api = self.api(region);
        let answer = api.call("TrentService.Decrypt", &question).await;
        let answer = answer.map_err(|error| match error {
            CloudError::Refused { status, detail } => FetchError::Status {
                status,
                excerpt: format!("the key service: {detail}"),
            },
            error => error.into(),
        })?;
        let key = answer.get("Plaintext").and_then(Value::as_str);
        let key = key.and_then(|key| STANDARD.decode(key).ok()?.try_into().ok());
        envelope.seal(&key.ok_or_else(|| refused("its key does not have 256 bits"))?)
    }

    fn api(&self, region: &str) -> JsonApi {
        let mut apis = self.apis.lock().unwrap_or_else(PoisonError::into_inner);
        let api = apis.entry(region.to_owned());
        api.or_insert_with(|| {
            let role = self.role.as_ref();
            self.aws.json_api("kms", "KMS", region, role)
        })
        .clone()
    }
}
