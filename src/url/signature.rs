//! HMAC signatures of request paths. Rule: `spec/url.md` section 4.

use std::borrow::Cow;

use base64::Engine;
use hmac::{Hmac, Mac};
use percent_encoding::percent_decode_str;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::args::LENIENT_BASE64;
use crate::config::UrlConfig;

use super::UrlError;
use super::path::SplitPath;

/// The signature segment for `path`, which is everything behind the signature, with or without its leading slash.
///
/// `size` is the number of bytes that are kept, 1–32; other values are brought into that range. The key may have any
/// length.
pub fn sign(key: &[u8], salt: &[u8], path: &str, size: usize) -> String {
    let mac = finish(salted(key, salt), path);
    LENIENT_BASE64.encode(truncated(&mac, size))
}

/// Checks signatures. Keeps one HMAC state per key pair with key and salt already taken in.
#[derive(Clone)]
pub struct Verifier {
    pairs: Vec<Hmac<Sha256>>,
    size: usize,
    trusted: Vec<String>,
    legacy: bool,
}

impl Verifier {
    /// A verifier for the configured pairs; without any it accepts every signature.
    pub fn new(config: &UrlConfig) -> Self {
        let pairs = config.keys.iter();
        Self {
            pairs: pairs.map(|pair| salted(&pair.key, &pair.salt)).collect(),
            size: config.signature_size,
            trusted: config.trusted_signatures.clone(),
            legacy: config.legacy_signatures,
        }
    }

    /// Whether signatures are checked at all.
    pub fn is_on(&self) -> bool {
        !self.pairs.is_empty()
    }

    /// Checks the signature and returns the path to parse.
    ///
    /// A client may have signed a path that the scheme repair would change, so the path as received is tried first and
    /// the repaired one second, and the one that verified is the one that counts. Where no signature decides, it is the
    /// repaired one.
    ///
    /// # Errors
    /// [`UrlError::SignatureIsOption`] where checking is off and the signature is missing,
    /// [`UrlError::SignatureEncoding`] and [`UrlError::Signature`] where it is wrong, [`UrlError::Path`] where nothing
    /// follows it.
    pub fn verify<'a>(&self, split: SplitPath<'a>) -> Result<Cow<'a, str>, UrlError> {
        let SplitPath {
            signature,
            path,
            repaired,
        } = split;
        let unchecked = if self.is_on() {
            self.is_trusted(signature)
        } else if signature.contains(':') {
            return Err(UrlError::SignatureIsOption);
        } else {
            true
        };
        if unchecked {
            return Ok(repaired.map_or(path, Cow::Owned));
        }
        let signature = LENIENT_BASE64
            .decode(signature)
            .map_err(|_| UrlError::SignatureEncoding)?;
        if path.is_empty() {
            return Err(UrlError::Path(path.into_owned()));
        }
        if self.is_signed(&signature, &path) {
            return Ok(path);
        }
        match repaired {
            Some(repaired) if self.is_signed(&signature, &repaired) => Ok(Cow::Owned(repaired)),
            _ => self
                .legacy(&signature, &path)
                .map(Cow::Owned)
                .ok_or(UrlError::Signature),
        }
    }

    /// The percent-decoded path, where such signatures are accepted and this is one. It is what the signer meant, so it
    /// is what gets parsed: the path as received could be split in another way. Rule: `spec/imgforge-original.md`
    /// section 3.
    fn legacy(&self, signature: &[u8], path: &str) -> Option<String> {
        if !self.legacy || !path.contains('%') {
            return None;
        }
        let decoded = percent_decode_str(path).decode_utf8().ok()?.into_owned();
        self.is_signed(signature, &decoded).then(|| {
            tracing::warn!(
                "a signature over the decoded path was accepted, sign the path as it is sent"
            );
            decoded
        })
    }

    fn is_trusted(&self, signature: &str) -> bool {
        self.trusted
            .iter()
            .any(|trusted| trusted.as_bytes().ct_eq(signature.as_bytes()).into())
    }

    fn is_signed(&self, signature: &[u8], path: &str) -> bool {
        self.pairs.iter().any(|pair| {
            let mac = finish(pair.clone(), path);
            truncated(&mac, self.size).ct_eq(signature).into()
        })
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier")
            .field("pairs", &self.pairs.len())
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn salted(key: &[u8], salt: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(salt);
    mac
}

fn finish(mut mac: Hmac<Sha256>, path: &str) -> [u8; 32] {
    if !path.starts_with('/') {
        mac.update(b"/");
    }
    mac.update(path.as_bytes());
    mac.finalize().into_bytes().into()
}

fn truncated(mac: &[u8; 32], size: usize) -> &[u8] {
    mac.get(..size.clamp(1, 32)).unwrap_or(mac)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::url::KeyPair;
    use crate::url::path::split;

    fn hex(text: &str) -> Vec<u8> {
        let digit = |b: &u8| u8::try_from(char::from(*b).to_digit(16).unwrap()).unwrap();
        text.as_bytes()
            .chunks(2)
            .map(|pair| digit(&pair[0]) * 16 + digit(&pair[1]))
            .collect()
    }

    fn pair(name: &str) -> KeyPair {
        let (key, salt) = match name {
            "A" => (
                "943b421c9eb07c830af81030552c86009268de4e532ba2ee2eab8247c6da0881",
                "520f986b998545b4785e0defbc4f3c1203f22de2374a3d53cb7a7fe9fea309c5",
            ),
            "B" => ("736563726574", "68656c6c6f"),
            "C" => ("00", "ff"),
            "D" => (&*"0b".repeat(80), "aabbcc"),
            "E" => ("ABCDEF0123456789", "FEDCBA9876543210"),
            "original" => (
                "0011223344556677889900aabbccddeeff",
                "ffeeddccbbaa00998877665544332211",
            ),
            "recorded" => (
                "00112233445566778899aabbccddeeff",
                "ffeeddccbbaa99887766554433221100",
            ),
            other => panic!("{other}"),
        };
        KeyPair {
            key: hex(key),
            salt: hex(salt),
        }
    }

    fn verifier(pairs: &[&str], size: usize, trusted: &[&str]) -> Verifier {
        Verifier {
            pairs: pairs
                .iter()
                .map(|name| salted(&pair(name).key, &pair(name).salt))
                .collect(),
            size,
            trusted: trusted.iter().map(|t| (*t).to_owned()).collect(),
            legacy: false,
        }
    }

    fn verify(verifier: &Verifier, target: &str) -> Result<String, UrlError> {
        verifier.verify(split(target)?).map(Cow::into_owned)
    }

    /// `spec/url.md` section 4.5, and the vector of `spec/imgforge-original.md` section 3: pair, size, path, signature.
    const VECTORS: &str = "
A 32 /rs:fit:300:300/plain/http://img.example.com/pretty/image.jpg m3k5QADfcKPDj-SDI2AIogZbC3FlAXszuwhtWXYqavc
A 32 /rs:fill:300:400:0/g:sm/plain/http://example.com/images/curiosity.jpg@png TLell5iz_DCxfoccCS2iXgZGElDq2fVTm3zPKeChaaA
B 32 /rs:fill:300:400:0/g:sm/aHR0cDovL2V4YW1w/bGUuY29tL2ltYWdl/cy9jdXJpb3NpdHku/anBn.png oKfUtW34Dvo2BGQehJFR4Nr0_rIjOtdtzJ3QFsUcXH8
A 32 /plain/http://example.com/images/curiosity.jpg npAkbXUbGG1DB25T0gKkBa48vwsFodhwCFK5aYQQ5Bo
A 32 /w:100/plain/http%3A%2F%2Fexample.com%2Fa%20b.jpg%3Fx%3D1@webp aa95-X4jmHx2wTH_zbDIBee72zgNAsIPNg-Nu7kzffc
A 32 /aHR0cDovL2V4YW1wbGUuY29tL2EuanBn HGIjcMztUmmcGtFiT6i85OAjRhxdsZBQ9VMOXnnXv6c
A 32 /rs:fit:300:300/enc/p5VjorNdhs7mRRw8gA9TWoRlGci3l1kuzqN43UQlRaRIQ0qtBKW3qFABIsx-ZRz_cVc8iVTYbhsNsxNBL1BHaQ T4V604fQkt2rti-t8cOTKgT2X1PQkktJ_M4K-HU4u1U
A 8 /rs:fill:300:400:0/g:sm/plain/http://example.com/images/curiosity.jpg@png TLell5iz_DA
A 1 /rs:fill:300:400:0/g:sm/plain/http://example.com/images/curiosity.jpg@png TA
A 10 /rs:fill:300:400:0/g:sm/plain/http://example.com/images/curiosity.jpg@png TLell5iz_DCxfg
A 31 /rs:fill:300:400:0/g:sm/plain/http://example.com/images/curiosity.jpg@png TLell5iz_DCxfoccCS2iXgZGElDq2fVTm3zPKeChaQ
C 32 /w:1/plain/x TWx0N0LzRStik5CAV_9TBIYKOAm4kgOKv1scckNyWXo
D 32 /w:1/plain/x iK6jiCUzzAITS4ATUb_B4-wDjzLe7mqfRON8rV45Py4
E 32 /q:80/plain/s3://bucket/key.jpg@webp KfmureaeDKa9u1TeE2Ri0Nwy0bxcnFSIGIFjmpcwjp0
A 32 /w:1/plain/x rddrFHyGwSkkLEqinz2bID-_H_JNhLquCAn8yq9YA9I
A 32 /width:500/-/trim:10/plain/http://example.com/a.jpg CpHjluytCxn9k2ixvOf6dZsgweyPbAoias0KKnG0rpg
A 32 /exif:0/palette:8/plain/http://example.com/a.jpg 1xhH4V4C8K6onfil52JWTrZR15BtLXhIu3vgWsiyx6E
A 32 /w:100/plain/local:///a/b.png N37XFbsYh-YMMxHdOeI_k6ajY9WaC8h0vhK981vES48
B 32 /thumb:small/plain/http://example.com/a.jpg tUDTlTike5mWlX9afEUqcsEIumeksj33kbnFLu_FzDk
original 32 /resize:fill:800:600/quality:85/plain/https://example.com/cat.jpg@webp jr3LcKHV1tS-ZWB6ePfXy4cIb7efsCont3kNLIkkwJQ
recorded 32 /w:50/plain/http://127.0.0.1:18099/c/jpeg/baseline-420.jpg mhZI0krLnRs-IqdQlX1GHjiPK0X86Mx3lDI4XHqOfnM
";

    #[test]
    fn vectors() {
        let mut count = 0;
        for line in VECTORS.trim().lines() {
            let columns: Vec<&str> = line.split(' ').collect();
            let [name, size, path, signature] = columns[..] else {
                panic!("{line}");
            };
            let KeyPair { key, salt } = pair(name);
            let size = size.parse().unwrap();
            assert_eq!(sign(&key, &salt, path, size), signature, "{line}");
            assert_eq!(
                sign(&key, &salt, path.trim_start_matches('/'), size),
                signature
            );
            let verifier = verifier(&[name], size, &[]);
            let target = format!("/{signature}{path}");
            assert_eq!(
                verify(&verifier, &target).unwrap(),
                path.trim_start_matches('/'),
                "{line}"
            );
            for wrong in [1, 8, 16, 32].into_iter().filter(|other| *other != size) {
                let verifier = Verifier {
                    size: wrong,
                    ..verifier.clone()
                };
                assert_eq!(verify(&verifier, &target), Err(UrlError::Signature));
            }
            count += 1;
        }
        assert_eq!(count, 21);
    }

    const P: &str = "/rs:fill:300:400:0/g:sm/plain/http://example.com/images/curiosity.jpg@png";
    const S: &str = "TLell5iz_DCxfoccCS2iXgZGElDq2fVTm3zPKeChaaA";

    #[test]
    fn acceptance() {
        let a = verifier(&["A"], 32, &["a:b"]);
        let both = verifier(&["A", "B"], 32, &[]);
        let trusting = verifier(&["A"], 32, &["trusted", "two"]);
        let cut = S.trim_end_matches('A');
        let encoding = || Err(UrlError::SignatureEncoding);
        let wrong = || Err(UrlError::Signature);
        let parsed = || Ok(P.trim_start_matches('/').to_owned());
        for (verifier, target, expected) in [
            (&a, format!("/{S}{P}"), parsed()),
            (&a, format!("{S}{P}"), parsed()),
            (&a, format!("/{S}{P}?a=b"), parsed()),
            (
                &a,
                format!("/{S}{}", P.replace("http://", "http:/")),
                parsed(),
            ),
            (&a, format!("/{S}{}", P.replacen(':', "%3A", 5)), parsed()),
            (&a, format!("/{S}/{P}"), parsed()),
            (&a, format!("/{S}//{P}"), Ok(P.to_owned())),
            (&a, format!("/{S}///{P}"), wrong()),
            (&a, format!("/{cut}B{P}"), parsed()),
            (&a, format!("/{S}={P}"), encoding()),
            (&a, format!("/{cut}{P}"), wrong()),
            (&a, format!("/{S}AA{P}"), encoding()),
            (&a, format!("/{}{P}", S.replace("iz", "%69z")), encoding()),
            (&a, format!("/unsafe{P}"), wrong()),
            (&a, format!("/x{P}"), encoding()),
            (
                &a,
                format!("/{S}{}", P.replace("/curiosity", "/%63uriosity")),
                wrong(),
            ),
            (&a, format!("/a:b{P}"), parsed()),
            (&a, format!("/a:c{P}"), encoding()),
            (&a, "/AAAA//".to_owned(), Err(UrlError::Path(String::new()))),
            (&a, "/A//".to_owned(), encoding()),
            (&both, format!("/{S}{P}"), parsed()),
            (
                &both,
                format!("/v4il5rmSYrVOW341NliE_MPcqrwWLyWyeHNDz9YGFBs{P}"),
                parsed(),
            ),
            (
                &both,
                format!("/3mLim-3XPpqoL3HZaCbQSSkZ4MGXgWNVYYKBQOBJWmI{P}"),
                wrong(),
            ),
            (&trusting, format!("/trusted{P}"), parsed()),
            (&trusting, format!("/two{P}"), parsed()),
            (&trusting, format!("/Trusted{P}"), wrong()),
        ] {
            assert_eq!(verify(verifier, &target), expected, "{target}");
        }
    }

    #[test]
    fn a_signed_encoded_colon_is_refused() {
        let KeyPair { key, salt } = pair("A");
        let path = "/rs%3Afill%3A1/plain/x";
        let target = format!("/{}{path}", sign(&key, &salt, path, 32));
        let verifier = verifier(&["A"], 32, &[]);
        assert_eq!(verify(&verifier, &target), Err(UrlError::Signature));
    }

    #[test]
    fn a_signature_over_the_decoded_path_counts_where_it_may() {
        let KeyPair { key, salt } = pair("A");
        let strict = verifier(&["A"], 32, &[]);
        let legacy = Verifier {
            legacy: true,
            ..strict.clone()
        };
        for (sent, decoded) in [
            (
                "/w:1/plain/http%3A%2F%2Fh%2Fa%20b.jpg",
                "w:1/plain/http://h/a b.jpg",
            ),
            ("/w:1/plain/h%2520x", "w:1/plain/h%20x"),
            ("/w:1/plain/%c3%a9", "w:1/plain/\u{e9}"),
        ] {
            let target = format!("/{}{sent}", sign(&key, &salt, decoded, 32));
            assert_eq!(verify(&strict, &target), Err(UrlError::Signature), "{sent}");
            assert_eq!(verify(&legacy, &target).as_deref(), Ok(decoded), "{sent}");
            let target = format!("/{}{sent}", sign(&key, &salt, sent, 32));
            let path = verify(&legacy, &target);
            assert_eq!(
                path.as_deref(),
                Ok(sent.trim_start_matches('/')),
                "the path as sent still counts first"
            );
        }
        // No signature over nothing, no other key, nothing that is not UTF-8.
        let other = sign(b"x", b"y", "w:1/plain/a b", 32);
        for target in [
            format!("/{other}/w:1/plain/a%20b"),
            format!("/{other}/w:1/plain/%ff"),
        ] {
            assert_eq!(verify(&legacy, &target), Err(UrlError::Signature));
        }
    }

    /// `spec/http.md` section 4: what verified is what is parsed.
    #[test]
    fn the_path_as_received_comes_first() {
        let KeyPair { key, salt } = pair("A");
        let verifier = verifier(&["A"], 32, &[]);
        for (signed, requested) in [
            ("plain/http://h/a:/b", "plain/http://h/a:/b"),
            ("plain/http://h/a:/b", "plain/http:/h/a:/b"),
            ("plain/x:/y", "plain/x:/y"),
            ("plain/local:///a/b.png", "plain/local:/a/b.png"),
            ("w:1/plain/http://h", "w%3A1/plain/http:/h"),
        ] {
            let target = format!("/{}/{requested}", sign(&key, &salt, signed, 32));
            assert_eq!(
                verify(&verifier, &target).as_deref(),
                Ok(signed),
                "{requested}"
            );
        }
    }

    #[test]
    fn checking_is_off_without_keys() {
        let off = verifier(&[], 32, &["a:b"]);
        assert!(!off.is_on());
        for signature in ["unsafe", "_", "insecure", "%3A"] {
            assert_eq!(
                verify(&off, &format!("/{signature}/w:1")).as_deref(),
                Ok("w:1")
            );
        }
        for target in ["/rs:fill:1:1/plain/x", "/a:b/plain/x"] {
            assert_eq!(verify(&off, target), Err(UrlError::SignatureIsOption));
        }
        assert_eq!(
            verify(&off, "/u/plain/http:/a").as_deref(),
            Ok("plain/http://a")
        );
    }

    #[test]
    fn keys_are_not_printed() {
        let text = format!("{:?}", verifier(&["A"], 32, &["hidden"]));
        assert!(!text.contains("hidden"), "{text}");
    }
}
