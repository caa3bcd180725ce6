//! Amazon S3 and what speaks its protocol. Rule: `spec/sources.md` section 5.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::header::{ACCEPT_RANGES, RANGE};
use http::{HeaderMap, Response, StatusCode};

use super::object::{Object, escape};
use super::s3_envelope::Envelope;
use super::s3_keys::Keys;
use super::{answer, permitted};
use crate::cloud::aws::{Aws, Role, dns_suffix, sign};
use crate::cloud::{Body, Cloud, CloudError, whole};
use crate::config::storage::{S3Config, access_point};
use crate::source::FetchError;
use crate::source::opened::Opened;

/// Reads objects with signed requests, in the regions that their buckets turn out to be in.
#[derive(Debug)]
pub(super) struct S3 {
    config: S3Config,
    aws: Aws,
    region: String,
    endpoint: Option<String>,
    role: Option<Role>,
    signers: Mutex<HashMap<String, crate::cloud::aws::AwsSigner>>,
    /// Regions of buckets that are not in the first one.
    regions: Mutex<HashMap<String, String>>,
    /// Keys of encrypted objects; `None` takes objects as they are.
    keys: Option<Keys>,
}

impl S3 {
    pub(super) fn new(config: &S3Config, cloud: &Cloud) -> Result<Self, CloudError> {
        let aws = Aws::new(cloud.clone())?;
        let region = aws.region(config.region.as_deref());
        let own = config.endpoint.as_deref();
        let endpoint = own.or_else(|| aws.endpoint("S3")).map(str::to_owned);
        let role = config.role_arn.clone().map(|arn| Role {
            arn,
            external_id: config.role_external_id.clone(),
        });
        Ok(Self {
            config: config.clone(),
            region,
            endpoint,
            keys: config.decrypt.then(|| Keys::new(&aws, role.as_ref())),
            role,
            aws,
            signers: Mutex::default(),
            regions: Mutex::default(),
        })
    }

    pub(super) async fn open(
        &self,
        object: Result<Object<'_>, FetchError>,
        request: &HeaderMap,
    ) -> Result<Opened, FetchError> {
        let object = permitted(object?, &self.config.buckets)?;
        let known = lock(&self.regions).get(object.bucket).cloned();
        let mut region = known.unwrap_or_else(|| self.region.clone());
        let mut wanted = request.clone();
        if self.keys.is_some() {
            // A part of an encrypted object proves nothing.
            wanted.remove(RANGE);
        }
        let mut response = self.get(&object, &wanted, &region).await?;
        if let Some(other) = moved(&response).filter(|other| *other != region) {
            remember(&mut lock(&self.regions), object.bucket, &other);
            response = self.get(&object, &wanted, &other).await?;
            region = other;
        }
        let seal = match &self.keys {
            Some(keys) if response.status() == StatusCode::OK => {
                let envelope = self.envelope(&object, &region, response.headers()).await?;
                let (_, region) = self.target(&object, &region);
                Some(keys.seal(&envelope, &region).await?)
            }
            _ => None,
        };
        let mut opened = answer::opened(response, &wanted, Some(answer::KEPT)).await?;
        if seal.is_some() {
            opened.headers.remove(ACCEPT_RANGES);
            opened.seal = seal;
        }
        Ok(opened)
    }

    /// How an object is encrypted, by its headers or by its instruction file.
    async fn envelope(
        &self,
        object: &Object<'_>,
        region: &str,
        headers: &HeaderMap,
    ) -> Result<Envelope, FetchError> {
        if let Some(envelope) = Envelope::of_object(headers)? {
            return Ok(envelope);
        }
        let key = format!("{}.instruction", object.key);
        let file = Object {
            bucket: object.bucket,
            key: &key,
            query: None,
        };
        let response = self.get(&file, &HeaderMap::new(), region).await?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status {
                status: response.status().as_u16(),
                excerpt:
                    "the object is not encrypted: neither it nor an instruction file names a key"
                        .to_owned(),
            });
        }
        Envelope::of_instruction(headers, &whole(response.into_body()).await?)
    }

    async fn get(
        &self,
        object: &Object<'_>,
        request: &HeaderMap,
        region: &str,
    ) -> Result<Response<Body>, FetchError> {
        let (uri, region) = self.target(object, region);
        let mut parts = answer::asked(uri, "S3 endpoint", request, &RANGE)?;
        let signer = lock(&self.signers)
            .entry(region.clone())
            .or_insert_with(|| self.aws.signer("s3", &region, self.role.as_ref()))
            .clone();
        sign(&signer, &mut parts).await?;
        Ok(self.aws.cloud().send(parts, Bytes::new()).await?)
    }

    /// Where an object is asked for, and the region that this is in.
    fn target(&self, object: &Object<'_>, region: &str) -> (String, String) {
        let version = object.query.map_or_else(String::new, |version| {
            format!("?versionId={}", escape(version))
        });
        let path = object.path();
        let points = &self.config.access_points;
        let point = points.iter().find(|(name, _)| name == object.bucket);
        let point = point.and_then(|(_, arn)| access_point(arn));
        if let Some((region, account, name)) = point {
            let host = format!("{name}-{account}");
            let base = match &self.endpoint {
                Some(endpoint) => with_host_prefix(endpoint, &host),
                None => format!(
                    "https://{host}.s3-accesspoint.{region}.{}",
                    dns_suffix(region)
                ),
            };
            return (format!("{base}/{path}{version}"), region.to_owned());
        }
        let bucket = object.bucket;
        let base = match &self.endpoint {
            Some(endpoint) if self.config.path_style => {
                format!("{}/{}", endpoint.trim_end_matches('/'), escape(bucket))
            }
            Some(endpoint) => with_host_prefix(endpoint, bucket),
            None if is_label(bucket) => {
                format!("https://{bucket}.s3.{region}.{}", dns_suffix(region))
            }
            // Certificates cover one label only, and other names are no labels at all.
            None => {
                let suffix = dns_suffix(region);
                format!("https://s3.{region}.{suffix}/{}", escape(bucket))
            }
        };
        (format!("{base}/{path}{version}"), region.to_owned())
    }
}

/// `scheme://prefix.host`.
fn with_host_prefix(endpoint: &str, prefix: &str) -> String {
    let endpoint = endpoint.trim_end_matches('/');
    let (scheme, host) = endpoint.split_once("://").unwrap_or(("http", endpoint));
    format!("{scheme}://{prefix}.{host}")
}

fn is_label(bucket: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (3..=63).contains(&bucket.len())
        && bucket.bytes().all(inner)
        && !bucket.starts_with('-')
        && !bucket.ends_with('-')
}

/// The region that a redirect names.
fn moved(response: &Response<Body>) -> Option<String> {
    if response.status() != StatusCode::MOVED_PERMANENTLY {
        return None;
    }
    let region = response
        .headers()
        .get("x-amz-bucket-region")?
        .to_str()
        .ok()?;
    // It becomes part of a host name.
    let harmless = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (!region.is_empty() && region.bytes().all(harmless)).then(|| region.to_owned())
}

/// Names of buckets come from URLs; the map must not grow with them for ever.
fn remember(regions: &mut HashMap<String, String>, bucket: &str, region: &str) {
    if regions.len() >= MOST_REMEMBERED {
        regions.clear();
    }
    regions.insert(bucket.to_owned(), region.to_owned());
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const MOST_REMEMBERED: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::Connection;
    use crate::source::client::HttpClient;

    fn target(config: &S3Config, bucket: &str, query: Option<&str>) -> (String, String) {
        let connection = HttpClient::unguarded(&crate::config::SourceConfig {
            user_agent: "t".to_owned(),
            ..Default::default()
        });
        let connection: std::sync::Arc<dyn Connection> = std::sync::Arc::new(connection.unwrap());
        let s3 = S3::new(config, &Cloud::new([], connection)).unwrap();
        let object = Object {
            bucket,
            key: "a b/c.jpg",
            query,
        };
        s3.target(&object, "eu-west-1")
    }

    #[test]
    fn targets() {
        let arn = "arn:aws:s3:us-west-2:123456789012:accesspoint/mine";
        let points = vec![("point".to_owned(), arn.to_owned())];
        let own = |path_style| S3Config {
            endpoint: Some("http://minio:9000/".to_owned()),
            path_style,
            access_points: points.clone(),
            ..S3Config::default()
        };
        let aws = || S3Config {
            path_style: true,
            access_points: points.clone(),
            ..S3Config::default()
        };
        for (config, bucket, query, expected) in [
            (
                aws(),
                "pics",
                None,
                "https://pics.s3.eu-west-1.amazonaws.com/a%20b/c.jpg",
            ),
            (
                aws(),
                "my.pics",
                None,
                "https://s3.eu-west-1.amazonaws.com/my.pics/a%20b/c.jpg",
            ),
            (
                aws(),
                "point",
                None,
                "https://mine-123456789012.s3-accesspoint.us-west-2.amazonaws.com/a%20b/c.jpg",
            ),
            (
                own(true),
                "pics",
                Some("v/1"),
                "http://minio:9000/pics/a%20b/c.jpg?versionId=v%2F1",
            ),
            (
                own(false),
                "pics",
                None,
                "http://pics.minio:9000/a%20b/c.jpg",
            ),
            (
                own(true),
                "point",
                None,
                "http://mine-123456789012.minio:9000/a%20b/c.jpg",
            ),
        ] {
            let (uri, region) = target(&config, bucket, query);
            assert_eq!(uri, expected);
            let expected = if bucket == "point" {
                "us-west-2"
            } else {
                "eu-west-1"
            };
            assert_eq!(region, expected, "{uri}");
        }
    }
}
