//! The variables of object storages.

use crate::config::lists::format::{LIST, MAP};
use crate::config::lists::{map, strings};
use crate::config::types::format::{BOOL, INT, SECONDS, STRING};
use crate::config::types::{boolean, integer};
use crate::config::var::{Alias, Var};

pub(in crate::config) const VARS: &[Var] = &[
    Var::new("USE_S3", "false", BOOL, "Serve `s3://bucket/key`.", |d, v| {
        boolean(v).map(|b| d.config.source.storage.s3.enabled = b)
    }),
    Var::new(
        "S3_REGION",
        "",
        STRING,
        "Region that buckets are first asked for in; not set, `AWS_REGION` or the profile's, else `us-west-1`. The \
         real region of a bucket is found by itself.",
        |d, v| {
            d.config.source.storage.s3.region = Some(v.to_owned());
            Ok(())
        },
    ),
    Var::new(
        "S3_ENDPOINT",
        "",
        STRING,
        "Address of a server other than AWS that speaks S3; without a scheme, `http://` is meant.",
        |d, v| {
            let scheme = if v.contains("://") { "" } else { "http://" };
            d.config.source.storage.s3.endpoint = Some(format!("{scheme}{v}"));
            Ok(())
        },
    ),
    Var::new(
        "S3_ENDPOINT_USE_PATH_STYLE",
        "true",
        BOOL,
        "Whether that server is asked for `endpoint/bucket/key`, and not for `bucket.endpoint/key`.",
        |d, v| boolean(v).map(|b| d.config.source.storage.s3.path_style = b),
    ),
    Var::new(
        "S3_USE_DECRYPTION_CLIENT",
        "false",
        BOOL,
        "Whether objects are decrypted as the Amazon S3 Encryption Client does, with keys of KMS. All objects have to be \
encrypted then.",
        |d, v| boolean(v).map(|b| d.config.source.storage.s3.decrypt = b),
    )
    .aliases(&[Alias::synonym("S3_DECRYPTION_CLIENT_ENABLED")]),
    Var::new(
        "S3_ASSUME_ROLE_ARN",
        "",
        STRING,
        "ARN of a role to take on top of the credentials that are found.",
        |d, v| {
            d.config.source.storage.s3.role_arn = Some(v.to_owned());
            Ok(())
        },
    ),
    Var::new(
        "S3_ASSUME_ROLE_EXTERNAL_ID",
        "",
        STRING,
        "External id that the role asks for.",
        |d, v| {
            d.config.source.storage.s3.role_external_id = Some(v.to_owned());
            Ok(())
        },
    ),
    Var::new("S3_ALLOWED_BUCKETS", "", LIST, ALLOWED, |d, v| {
        d.config.source.storage.s3.buckets.allowed = strings(v);
        Ok(())
    }),
    Var::new("S3_DENIED_BUCKETS", "", LIST, DENIED, |d, v| {
        d.config.source.storage.s3.buckets.denied = strings(v);
        Ok(())
    }),
    Var::new(
        "S3_ACCESS_POINTS",
        "",
        MAP,
        "Names in URLs that stand for access points: `name=arn` pairs. Bucket lists hold the names. Multi-region \
         access points are refused.",
        |d, v| map(v).map(|p| d.config.source.storage.s3.access_points = p),
    ),
    Var::new("USE_GCS", "false", BOOL, "Serve `gs://bucket/object`.", |d, v| {
        boolean(v).map(|b| d.config.source.storage.gcs.enabled = b)
    }),
    Var::new(
        "GCS_KEY",
        "",
        STRING,
        "JSON of a service account's key. Not set, the application default credentials count, among them those of the \
         machine.",
        |d, v| {
            d.config.source.storage.gcs.key = Some(v.to_owned());
            Ok(())
        },
    )
    .secret(),
    Var::new(
        "GCS_ENDPOINT",
        "",
        STRING,
        "Address of a server other than Google; its path does not count.",
        |d, v| {
            d.config.source.storage.gcs.endpoint = Some(v.to_owned());
            Ok(())
        },
    ),
    Var::new("GCS_ALLOWED_BUCKETS", "", LIST, ALLOWED, |d, v| {
        d.config.source.storage.gcs.buckets.allowed = strings(v);
        Ok(())
    }),
    Var::new("GCS_DENIED_BUCKETS", "", LIST, DENIED, |d, v| {
        d.config.source.storage.gcs.buckets.denied = strings(v);
        Ok(())
    }),
    Var::new("USE_ABS", "false", BOOL, "Serve `abs://container/blob`.", |d, v| {
        boolean(v).map(|b| d.config.source.storage.abs.enabled = b)
    }),
    Var::new("ABS_NAME", "", STRING, "Name of the storage account.", |d, v| {
        v.clone_into(&mut d.config.source.storage.abs.name);
        Ok(())
    }),
    Var::new(
        "ABS_KEY",
        "",
        STRING,
        "Shared key of the account in Base64. Not set, the identities count that Azure's own tools would find.",
        |d, v| {
            d.config.source.storage.abs.key = Some(v.to_owned());
            Ok(())
        },
    )
    .secret(),
    Var::new(
        "ABS_ENDPOINT",
        "",
        STRING,
        "Address of the service; not set, `https://<name>.blob.core.windows.net`.",
        |d, v| {
            d.config.source.storage.abs.endpoint = Some(v.to_owned());
            Ok(())
        },
    ),
    Var::new("ABS_ALLOWED_BUCKETS", "", LIST, ALLOWED, |d, v| {
        d.config.source.storage.abs.buckets.allowed = strings(v);
        Ok(())
    }),
    Var::new("ABS_DENIED_BUCKETS", "", LIST, DENIED, |d, v| {
        d.config.source.storage.abs.buckets.denied = strings(v);
        Ok(())
    }),
    Var::new(
        "USE_SWIFT",
        "false",
        BOOL,
        "Serve `swift://container/object`. The login is done at the start, which fails with it.",
        |d, v| boolean(v).map(|b| d.config.source.storage.swift.enabled = b),
    ),
    Var::new("SWIFT_USERNAME", "", STRING, "Name of the user.", |d, v| {
        v.clone_into(&mut d.config.source.storage.swift.username);
        Ok(())
    }),
    Var::new("SWIFT_API_KEY", "", STRING, "Key or password of the user.", |d, v| {
        v.clone_into(&mut d.config.source.storage.swift.api_key);
        Ok(())
    })
    .secret(),
    Var::new("SWIFT_AUTH_URL", "", STRING, "Address of the login service.", |d, v| {
        v.clone_into(&mut d.config.source.storage.swift.auth_url);
        Ok(())
    }),
    Var::new(
        "SWIFT_AUTH_VERSION",
        "0",
        INT,
        "Version of the login, 1 to 3; 0 takes it from the address.",
        |d, v| integer(v).map(|n| d.config.source.storage.swift.auth_version = n),
    ),
    Var::new(
        "SWIFT_DOMAIN",
        "",
        STRING,
        "Domain of user and project, version 3 only; not set, `Default`.",
        |d, v| {
            d.config.source.storage.swift.domain = Some(v.to_owned());
            Ok(())
        },
    ),
    Var::new(
        "SWIFT_TENANT",
        "",
        STRING,
        "Tenant, in version 3 the project, that the login is for.",
        |d, v| {
            d.config.source.storage.swift.tenant = Some(v.to_owned());
            Ok(())
        },
    ),
    Var::new(
        "SWIFT_CONNECT_TIMEOUT_SECONDS",
        "10",
        SECONDS,
        "Time from the connection to the head of an answer.",
        |d, v| integer(v).map(|n| d.config.source.storage.swift.connect_timeout = n),
    ),
    Var::new(
        "SWIFT_TIMEOUT_SECONDS",
        "60",
        SECONDS,
        "Longest pause within the body of an answer.",
        |d, v| integer(v).map(|n| d.config.source.storage.swift.timeout = n),
    ),
    Var::new("SWIFT_ALLOWED_BUCKETS", "", LIST, ALLOWED, |d, v| {
        d.config.source.storage.swift.buckets.allowed = strings(v);
        Ok(())
    }),
    Var::new("SWIFT_DENIED_BUCKETS", "", LIST, DENIED, |d, v| {
        d.config.source.storage.swift.buckets.denied = strings(v);
        Ok(())
    }),
];

const ALLOWED: &str = "Buckets or containers that may be read, by their exact names; not set, all.";
const DENIED: &str = "Buckets or containers that may not be read, even where they are allowed.";
