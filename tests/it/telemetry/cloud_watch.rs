//! `PutMetricData` of Amazon CloudWatch.

use std::collections::HashMap;

use crate::common::{Recorder, Server};

#[tokio::test]
async fn gauges_are_put() {
    let recorder = Recorder::start().await;
    let url = recorder.url();
    let server = Server::start(&[
        ("IMGPROXY_CLOUD_WATCH_SERVICE_NAME", "my service"),
        ("IMGPROXY_CLOUD_WATCH_NAMESPACE", "pictures"),
        ("IMGPROXY_CLOUD_WATCH_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ENDPOINT_URL", &url),
    ])
    .await;
    // The last reading goes out at the end.
    server.stop().await;
    let sent = recorder.at("/");
    assert_eq!((sent.len(), sent[0].method.as_str()), (1, "POST"));
    let authorization = sent[0].header("authorization");
    assert!(
        authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"),
        "{authorization}"
    );
    assert!(
        authorization.contains("/eu-west-1/monitoring/aws4_request"),
        "{authorization}"
    );
    assert!(sent[0].header("x-amz-date").ends_with('Z'));
    let form: HashMap<String, String> = url::form_urlencoded::parse(&sent[0].body)
        .into_owned()
        .collect();
    assert_eq!(
        (form["Action"].as_str(), form["Namespace"].as_str()),
        ("PutMetricData", "pictures")
    );
    let expected = [
        ("Workers", "Count"),
        ("RequestsInProgress", "Count"),
        ("ImagesInProgress", "Count"),
        ("ConcurrencyUtilization", "Percent"),
        ("WorkersUtilization", "Percent"),
        ("VipsMemory", "Bytes"),
        ("VipsMaxMemory", "Bytes"),
        ("VipsAllocs", "Count"),
    ];
    for (position, (name, unit)) in expected.iter().enumerate() {
        let field =
            |rest: &str| form[&format!("MetricData.member.{}.{rest}", position + 1)].as_str();
        assert_eq!((field("MetricName"), field("Unit")), (*name, *unit));
        assert_eq!(field("Dimensions.member.1.Name"), "ServiceName");
        assert_eq!(field("Dimensions.member.1.Value"), "my service");
        assert!(field("Value").parse::<f64>().unwrap() >= 0.0);
    }
    assert_ne!(form["MetricData.member.1.Value"], "0", "workers");
}

#[tokio::test]
async fn a_profile_that_is_named_has_to_be_there() {
    let config = imgforge::config::Config::from_pairs(&[
        ("IMGPROXY_BIND", "127.0.0.1:0"),
        ("IMGPROXY_PROMETHEUS_BIND", "off"),
        ("IMGPROXY_CLOUD_WATCH_SERVICE_NAME", "s"),
        ("AWS_PROFILE", "nobody"),
    ]);
    let config = config.unwrap();
    let error = imgforge::server::Server::start(&config).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "can't load CloudWatch config: failed to get shared config profile, nobody"
    );
}
