//! Names that change their addresses, ports, and redirects that leave the allowed sources.

use std::net::SocketAddr;
use std::sync::Mutex;

use super::*;

/// A resolver that answers each question about a name with the next of its answers, and with the last one from then on.
fn names(answers: Vec<(&'static str, Vec<Vec<&'static str>>)>) -> Names {
    let left = Mutex::new(answers);
    Arc::new(move |name, port| {
        let mut left = left.lock().unwrap();
        let found = left.iter_mut().find(|(known, _)| *known == name);
        let addresses = match found {
            Some((_, answers)) if answers.len() > 1 => answers.remove(0),
            Some((_, answers)) => answers[0].clone(),
            None => Vec::new(),
        };
        let addresses: Vec<SocketAddr> = addresses
            .into_iter()
            .map(|address| SocketAddr::new(address.parse().unwrap(), port))
            .collect();
        Box::pin(async move { Ok(addresses) })
    })
}

fn resolving(
    config: &SourceConfig,
    answers: Vec<(&'static str, Vec<Vec<&'static str>>)>,
) -> Sources {
    let network = Network {
        proxies: Proxies::none(),
        names: names(answers),
    };
    Sources::over(config, network).unwrap()
}

/// 127.0.0.1 is allowed, 127.0.0.2 is not.
fn guarded() -> SourceConfig {
    SourceConfig {
        denied_networks: vec![network("127.0.0.2", 32)],
        ..config()
    }
}

/// An allowed origin and a forbidden one on the same port, since a name has one port for all of its addresses.
async fn pair() -> (Origin, Origin) {
    let good = |_: &str, _: usize| vec![Step::Send(ok(&png(10))), Step::Next];
    loop {
        let origin = Origin::start(good).await;
        let same_port = format!("127.0.0.2:{}", origin.port);
        if let Some(canary) = Origin::try_on(&same_port, good).await {
            return (origin, canary);
        }
    }
}

#[tokio::test]
async fn a_name_that_is_bound_again_leads_nowhere_else() {
    let (origin, canary) = pair().await;
    let url = format!("http://rebind.test:{}/", origin.port);
    // Without reuse, the second request asks for the address again.
    let mut config = guarded();
    config.client_keep_alive_timeout = Duration::ZERO;
    let answers = vec![("rebind.test", vec![vec!["127.0.0.1"], vec!["127.0.0.2"]])];
    let sources = resolving(&config, answers.clone());
    image(sources.fetch(request(url.clone())).await);
    assert_eq!(
        kind(sources.fetch(request(url.clone())).await),
        Kind::SourceBlocked
    );
    // With it, the connection to the address that was judged is used.
    let reusing = resolving(&guarded(), answers);
    for _ in 0..2 {
        image(reusing.fetch(request(url.clone())).await);
    }
    assert_eq!(canary.log.lock().unwrap().connections, 0);
}

#[tokio::test]
async fn a_connection_is_not_reused_for_another_name() {
    let (origin, canary) = pair().await;
    let answers = vec![
        ("a.test", vec![vec!["127.0.0.1"]]),
        ("b.test", vec![vec!["127.0.0.2"]]),
        ("c.test", vec![vec!["127.0.0.1"]]),
    ];
    let sources = resolving(&guarded(), answers);
    let url = |name: &str| format!("http://{name}:{}/", origin.port);
    image(sources.fetch(request(url("a.test"))).await);
    assert_eq!(
        kind(sources.fetch(request(url("b.test"))).await),
        Kind::SourceBlocked
    );
    image(sources.fetch(request(url("c.test"))).await);
    assert_eq!(origin.log.lock().unwrap().connections, 2);
    assert_eq!(canary.log.lock().unwrap().connections, 0);
}

#[tokio::test]
async fn forbidden_addresses_of_a_name_are_left_out() {
    let (origin, canary) = pair().await;
    let answers = vec![
        ("first.test", vec![vec!["127.0.0.1", "127.0.0.2"]]),
        ("second.test", vec![vec!["127.0.0.2", "127.0.0.1"]]),
        (
            "mapped.test",
            vec![vec!["::ffff:127.0.0.2", "64:ff9b::7f00:2", "127.0.0.1"]],
        ),
        ("none.test", vec![vec!["127.0.0.2", "2002:7f00:2::"]]),
        ("empty.test", vec![vec![]]),
    ];
    let sources = resolving(&guarded(), answers);
    for (name, expected) in [
        ("first.test", None),
        ("second.test", None),
        ("mapped.test", None),
        ("none.test", Some(Kind::SourceBlocked)),
        ("empty.test", Some(Kind::SourceUnreachable)),
        ("unknown.test", Some(Kind::SourceUnreachable)),
    ] {
        let url = format!("http://{name}:{}/", origin.port);
        let outcome = sources.fetch(request(url)).await;
        assert_eq!(
            outcome.err().map(|error| Error::from(error).kind()),
            expected,
            "{name}"
        );
    }
    assert_eq!(canary.log.lock().unwrap().connections, 0);
}

#[tokio::test]
async fn a_silent_address_does_not_hold_up_the_next() {
    let origin = Origin::fixed(ok(&png(10))).await;
    // Nothing listens there, so the first attempt fails or is silent.
    let answers = vec![("slow.test", vec![vec!["127.0.0.3", "127.0.0.1"]])];
    let sources = resolving(&config(), answers);
    let url = format!("http://slow.test:{}/", origin.port);
    image(sources.fetch(request(url)).await);
}

#[tokio::test]
async fn ports_can_be_restricted() {
    let origin = Origin::fixed(ok(&png(10))).await;
    let other = Origin::fixed(ok(&png(10))).await;
    let to_other = other.url("/");
    let redirecting = Origin::start(move |_, _| redirect(&to_other)).await;
    let mut config = config();
    config.allowed_ports = vec![origin.port, redirecting.port];
    let sources = sources(&config);
    image(sources.fetch(request(origin.url("/"))).await);
    let direct = sources.fetch(request(other.url("/"))).await.unwrap_err();
    assert!(!direct.started());
    let redirected = sources
        .fetch(request(redirecting.url("/")))
        .await
        .unwrap_err();
    assert!(redirected.started());
    for error in [direct, redirected] {
        assert_eq!(Error::from(error).kind(), Kind::SourceBlocked);
    }
    for url in [
        "http://127.0.0.1/",
        "https://127.0.0.1/",
        "http://127.0.0.1:22/",
    ] {
        assert_eq!(
            kind(sources.fetch(request(url)).await),
            Kind::SourceBlocked,
            "{url}"
        );
    }
    assert_eq!(other.log.lock().unwrap().connections, 0);
}

#[tokio::test]
async fn redirects_can_be_held_against_a_list() {
    let other = Origin::fixed(ok(&png(10))).await;
    let to_other = other.url("/x.png");
    let origin = Origin::start(move |path, _| match path {
        "/out" => redirect(&to_other),
        "/in" => redirect("/end"),
        "/escape" => redirect("/../private/a"),
        _ => vec![Step::Send(ok(&png(10)))],
    })
    .await;
    let prefix = origin.url("/");
    let private = origin.url("/private/");
    let sources = sources(&config())
        .checking_redirects(move |url| url.starts_with(&prefix) && !url.starts_with(&private));
    image(sources.fetch(request(origin.url("/in"))).await);
    for path in ["/out", "/escape"] {
        let outcome = sources.fetch(request(origin.url(path))).await;
        assert_eq!(kind(outcome), Kind::SourceBlocked, "{path}");
    }
    assert_eq!(other.log.lock().unwrap().connections, 0);
}
