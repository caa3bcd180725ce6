//! Signatures over real requests. Vectors and matrix: the reference's rules of URL signing.

use crate::common::{Origin, Script, Server};

pub const KEY_A: &str = "943b421c9eb07c830af81030552c86009268de4e532ba2ee2eab8247c6da0881";
pub const SALT_A: &str = "520f986b998545b4785e0defbc4f3c1203f22de2374a3d53cb7a7fe9fea309c5";
const KEY_B: &str = "736563726574";
const SALT_B: &str = "68656c6c6f";

/// Vector 2, the one that the documentation and `examples/signatures` use.
pub const SIGNATURE: &str = "TLell5iz_DCxfoccCS2iXgZGElDq2fVTm3zPKeChaaA";
pub const PATH: &str = "/rs:fill:300:400:0/g:sm/plain/http://example.com/images/curiosity.jpg@png";

const OPTION_IN_SIGNATURE: &str = "The signature appears to be a processing option. \
                                   The signature section should always be present in the URL.";

/// A server with keys A and B whose sources on example.com come from a local origin.
async fn signed_server(more: &[(&str, &str)]) -> (Server, Origin) {
    let origin = Origin::start().await;
    origin.otherwise(Script::image("grid.jpg"));
    let to = origin.url("/");
    let replacements = format!("http://example.com/={to};http://img.example.com/={to}");
    let (keys, salts) = (format!("{KEY_A},{KEY_B}"), format!("{SALT_A},{SALT_B}"));
    let mut env = vec![
        ("IMGPROXY_KEY", keys.as_str()),
        ("IMGPROXY_SALT", salts.as_str()),
        ("IMGPROXY_URL_REPLACEMENTS", replacements.as_str()),
    ];
    env.extend_from_slice(more);
    (Server::start(&env).await, origin)
}

#[tokio::test]
async fn signed_urls_are_served() {
    let (server, _origin) = signed_server(&[]).await;
    let cases = [
        (
            "m3k5QADfcKPDj-SDI2AIogZbC3FlAXszuwhtWXYqavc",
            "/rs:fit:300:300/plain/http://img.example.com/pretty/image.jpg",
        ),
        (SIGNATURE, PATH),
        (
            "oKfUtW34Dvo2BGQehJFR4Nr0_rIjOtdtzJ3QFsUcXH8",
            "/rs:fill:300:400:0/g:sm/aHR0cDovL2V4YW1w/bGUuY29tL2ltYWdl/cy9jdXJpb3NpdHku/anBn.png",
        ),
        (
            "npAkbXUbGG1DB25T0gKkBa48vwsFodhwCFK5aYQQ5Bo",
            "/plain/http://example.com/images/curiosity.jpg",
        ),
        (
            "aa95-X4jmHx2wTH_zbDIBee72zgNAsIPNg-Nu7kzffc",
            "/w:100/plain/http%3A%2F%2Fexample.com%2Fa%20b.jpg%3Fx%3D1@webp",
        ),
        (
            "HGIjcMztUmmcGtFiT6i85OAjRhxdsZBQ9VMOXnnXv6c",
            "/aHR0cDovL2V4YW1wbGUuY29tL2EuanBn",
        ),
        ("v4il5rmSYrVOW341NliE_MPcqrwWLyWyeHNDz9YGFBs", PATH),
    ];
    for (signature, path) in cases {
        let reply = server.get(&format!("/{signature}{path}")).await;
        assert_eq!(reply.status, 200, "{signature}{path}: {}", reply.text());
    }
}

#[tokio::test]
async fn a_url_that_a_proxy_rewrote_is_still_signed() {
    let (server, _origin) = signed_server(&[]).await;
    let cases = [
        ("a query", format!("/{SIGNATURE}{PATH}?a=b")),
        (
            "a collapsed scheme",
            format!("/{SIGNATURE}{}", PATH.replace("http://", "http:/")),
        ),
        (
            "an escaped separator",
            format!(
                "/{SIGNATURE}/rs%3Afill%3A300%3A400%3A0/g%3Asm{}",
                &PATH[23..]
            ),
        ),
        ("a double slash", format!("/{SIGNATURE}/{PATH}")),
        (
            "unused bits of the last character",
            format!("/{}B{PATH}", &SIGNATURE[..42]),
        ),
    ];
    for (name, target) in cases {
        let reply = server.get(&target).await;
        assert_eq!(reply.status, 200, "{name}: {target}: {}", reply.text());
    }
}

#[tokio::test]
async fn wrong_signatures_are_forbidden_and_fetch_nothing() {
    let (server, origin) = signed_server(&[]).await;
    let cases = [
        ("none", format!("/unsafe{PATH}")),
        ("one character", format!("/x{PATH}")),
        ("padding", format!("/{SIGNATURE}={PATH}")),
        ("cut", format!("/{}{PATH}", &SIGNATURE[..42])),
        ("too long", format!("/{SIGNATURE}AAAA{PATH}")),
        (
            "escaped",
            format!("/{}{PATH}", SIGNATURE.replacen('_', "%5F", 1)),
        ),
        (
            "standard alphabet",
            format!("/{}{PATH}", SIGNATURE.replacen('_', "+", 1)),
        ),
        (
            "another option",
            format!("/{SIGNATURE}{}", PATH.replace("300", "301")),
        ),
        (
            "an escape in the source",
            format!("/{SIGNATURE}{}", PATH.replace("curiosity", "%63uriosity")),
        ),
        ("a trailing slash", format!("/{SIGNATURE}{PATH}/")),
        (
            "key B with salt A",
            format!("/3mLim-3XPpqoL3HZaCbQSSkZ4MGXgWNVYYKBQOBJWmI{PATH}"),
        ),
        (
            "an option in its place",
            format!("/rs:fill:300:400:0{PATH}"),
        ),
    ];
    for (name, target) in cases {
        let reply = server.get(&target).await;
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (403, "Forbidden"),
            "{name}: {target}"
        );
    }
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn a_shorter_signature_is_accepted_at_its_size_only() {
    let (server, _origin) = signed_server(&[("IMGPROXY_SIGNATURE_SIZE", "8")]).await;
    let cases = [
        ("TLell5iz_DA", 200),
        (SIGNATURE, 403),
        ("TLell5iz_DCxfg", 403),
        ("TA", 403),
    ];
    for (signature, status) in cases {
        assert_eq!(
            server.get(&format!("/{signature}{PATH}")).await.status,
            status,
            "{signature}"
        );
    }
}

#[tokio::test]
async fn trusted_signatures_are_compared_as_text() {
    let (server, _origin) = signed_server(&[("IMGPROXY_TRUSTED_SIGNATURES", "trusted, two")]).await;
    for (signature, status) in [
        ("trusted", 200),
        ("two", 200),
        ("Trusted", 403),
        ("trusted,", 403),
    ] {
        assert_eq!(
            server.get(&format!("/{signature}{PATH}")).await.status,
            status,
            "{signature}"
        );
    }
}

#[tokio::test]
async fn without_keys_anything_but_an_option_is_a_signature() {
    let origin = Origin::start().await;
    origin.otherwise(Script::image("grid.png"));
    let server = Server::start(&[]).await;
    let source = format!("plain/{}", origin.url("/a.png"));
    for signature in ["unsafe", "_", "insecure", SIGNATURE] {
        assert_eq!(
            server.get(&format!("/{signature}/{source}")).await.status,
            200,
            "{signature}"
        );
    }
    let reply = server.get(&format!("/w:100/{source}")).await;
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (403, OPTION_IN_SIGNATURE)
    );
}

#[tokio::test]
async fn what_signs_for_clients_is_what_the_server_checks() {
    let (server, _origin) = signed_server(&[]).await;
    let path = "/w:33/plain/http://example.com/x.jpg";
    let (key, salt) = (hex(KEY_B), hex(SALT_B));
    let signature = imgforge::sign(&key, &salt, path, 32);
    assert_eq!(server.get(&format!("/{signature}{path}")).await.status, 200);
}

pub fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}
