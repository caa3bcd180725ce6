//! AWS Secrets Manager and Systems Manager Parameter Store.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{SecretsError, within};
use crate::cloud::aws::Aws;
use crate::cloud::{Cloud, CloudError};
use crate::config::secrets::{AwsParameters, AwsSecret};

/// The text of a secret; a binary one has none.
pub(super) async fn secret(cloud: Cloud, secret: &AwsSecret) -> Result<String, SecretsError> {
    let aws = Aws::new(cloud).map_err(SecretsError::AwsSecretConfig)?;
    let region = aws.region(secret.region.as_deref());
    let api = aws.json_api("secretsmanager", "SECRETS_MANAGER", &region, None);
    let mut asked = Map::new();
    asked.insert("SecretId".to_owned(), json!(secret.id));
    for (name, value) in [
        ("VersionId", &secret.version_id),
        ("VersionStage", &secret.version_stage),
    ] {
        if let Some(value) = value {
            asked.insert(name.to_owned(), json!(value));
        }
    }
    let asked = Value::Object(asked);
    let answer = within(LIMIT, api.call("secretsmanager.GetSecretValue", &asked))
        .await
        .map_err(SecretsError::AwsSecret)?;
    Ok(text(&answer, "SecretString").to_owned())
}

/// Names and values of the text parameters below a path, at any depth.
pub(super) async fn parameters(
    cloud: Cloud,
    wanted: &AwsParameters,
) -> Result<Vec<(String, String)>, SecretsError> {
    let aws = Aws::new(cloud).map_err(SecretsError::AwsParametersConfig)?;
    within(LIMIT, pages(&aws, wanted))
        .await
        .map_err(SecretsError::AwsParameters)
}

async fn pages(aws: &Aws, wanted: &AwsParameters) -> Result<Vec<(String, String)>, CloudError> {
    let region = aws.region(wanted.region.as_deref());
    let api = aws.json_api("ssm", "SSM", &region, None);
    let mut found = Vec::new();
    let mut asked = Map::from_iter([
        ("Path".to_owned(), json!(wanted.path)),
        ("Recursive".to_owned(), json!(true)),
        ("WithDecryption".to_owned(), json!(true)),
    ]);
    loop {
        let page = Value::Object(asked.clone());
        let answer = api.call("AmazonSSM.GetParametersByPath", &page).await?;
        let page = answer.get("Parameters").and_then(Value::as_array);
        found.extend(page.into_iter().flatten().filter_map(|parameter| {
            let name = variable(text(parameter, "Name"), &wanted.path);
            let is_text = text(parameter, "DataType") == "text";
            is_text.then(|| (name, text(parameter, "Value").to_owned()))
        }));
        match answer.get("NextToken").and_then(Value::as_str) {
            Some(token) if !token.is_empty() => {
                asked.insert("NextToken".to_owned(), json!(token));
            }
            _ => return Ok(found),
        }
    }
}

/// The variable that a parameter stands for.
fn variable(name: &str, path: &str) -> String {
    let rest = name.strip_prefix(path).unwrap_or(name);
    rest.strip_prefix('/').unwrap_or(rest).replace('/', "_")
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// For all pages together.
const LIMIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parameters() {
        for (name, path, expected) in [
            ("/a/b/IMGPROXY_TTL", "/a/b", "IMGPROXY_TTL"),
            ("/a/b/IMGPROXY_TTL", "/a/b/", "IMGPROXY_TTL"),
            ("/a/b/IMGPROXY/TTL", "/a/b", "IMGPROXY_TTL"),
            (
                "/a/IMGPROXY_CLOUD_WATCH/REGION",
                "/a",
                "IMGPROXY_CLOUD_WATCH_REGION",
            ),
            ("/IMGPROXY_TTL", "/", "IMGPROXY_TTL"),
        ] {
            assert_eq!(variable(name, path), expected, "{name}");
        }
    }
}
