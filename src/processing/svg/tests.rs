//! The sanitiser as a whole: what goes, what stays, and that no input makes it slow or lets something through.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use quick_xml::events::Event;
use quick_xml::reader::Reader;

use super::*;

fn clean(source: &str) -> String {
    let clean = sanitise(source.as_bytes()).unwrap_or_else(|error| panic!("{source}: {error}"));
    String::from_utf8(clean.to_vec()).unwrap()
}

/// The shape of the reference recording: what imgproxy 4.0 keeps of the same file.
#[test]
fn reference_example() {
    let source = r##"<svg width="200" xmlns="http://www.w3.org/2000/svg" onload="alert(3)">
  <rect onclick="alert(4)" style="fill:rgb(0,0,0);stroke-width:5" />
  <script>
    <![CDATA[
    alert(2);
    ]]>
  </script><use xlink:href="data:application/xml;base64,PHN2Zz4=#test"/>
  <foreignObject>
    <div xmlns="http://www.w3.org/1999/xhtml"><form action="javascript:alert(5)">
      <input type="submit" value="Submit" />
    </form></div>
  </foreignObject>
  <a href="javascript:alert(6)"><rect width="10" height="10"/></a>
  <a href="https://example.com/"><rect width="10" height="10"/></a>
  <image href="data:image/gif;base64,R0lGODlhAQAB"/>
</svg>
"##;
    let expected = r##"<svg width="200" xmlns="http://www.w3.org/2000/svg">
  <rect style="fill:rgb(0,0,0);stroke-width:5"/>
  <use/>
  <foreignObject>
    <div xmlns="http://www.w3.org/1999/xhtml"/>
  </foreignObject>
  <a><rect width="10" height="10"/></a>
  <a href="https://example.com/"><rect width="10" height="10"/></a>
  <image href="data:image/gif;base64,R0lGODlhAQAB"/>
</svg>
"##;
    assert_eq!(clean(source), expected);
}

#[test]
fn harmless_text_stays() {
    for source in [
        "<svg/>",
        "<?xml version='1.0'  encoding='utf-8'?>\n<!-- a > b -->\n<!DOCTYPE svg PUBLIC \"a\" 'b'>\n<svg>\n</svg>\n",
        "<svg a=\"x\" b='\"' c=\"'\" d=\"&quot;&#10;&x;\">&amp; &#60; &nbsp; > ]]> &</svg>",
        "<x:svg xmlns:x=\"y\" xmlns:on=\"urn:a\" xmlns:href=\"urn:b\"><![CDATA[<script>]]><?a b?><!-- <script> --></x:svg>",
        "<!DOCTYPE svg [<!ENTITY st0 \"fill:#FFF;\"><!ENTITY ns 'http://www.w3.org/2000/svg'>]><svg xmlns=\"&ns;\" style=\"&st0;\"/>",
        "<svg><style>.a{fill:url(#b)} @media print{.c > .d{e:f}}</style><style><![CDATA[.a > .b{c:d}]]></style></svg>",
        "<svg><animate attributeName=\"x\" values=\"0;1\"/><set attributeName=\"fill\" to=\"red\"/></svg>",
        "<svg><metadata><rdf:object data=\"a\"/><link/></metadata></svg>",
        "<svg><foreignObject><p style=\"color:red\">a<br/><img src=\"data:image/png;base64,AA\"/></p></foreignObject></svg>",
        "\u{FEFF}<svg>é</svg>",
    ] {
        assert_eq!(clean(source), source);
    }
}

#[test]
fn tags_are_written_uniformly() {
    for (source, expected) in [
        (
            "<svg\n a = 'b'\tc=d e ></svg >",
            "<svg a=\"b\" c=\"d\" e=\"\"/>",
        ),
        ("<svg><g></g><g> </g></svg>", "<svg><g/><g> </g></svg>"),
        ("<svg><g><a>b", "<svg><g><a>b</a></g></svg>"),
        ("<svg a=x\"y'z/>", "<svg a=\"x&quot;y'z\"/>"),
        ("<svg a='<script>'/>", "<svg a=\"&lt;script>\"/>"),
        ("<svg", ""),
        ("<svg></g>", ""),
        ("<svg></svg></svg>", ""),
        ("<svg><G></g></svg>", ""),
        ("<svg><script></svg>", ""),
        ("<svg><script>a<1</script></svg>", ""),
        ("<svg><!DOCTYPE svg></svg>", ""),
        ("<svg>&lt;</svg><", ""),
    ] {
        let result = sanitise(source.as_bytes());
        match expected {
            "" => assert_eq!(
                Error::from(result.unwrap_err()).kind(),
                Kind::BrokenSvg,
                "{source}"
            ),
            _ => assert_eq!(result.unwrap(), expected.as_bytes(), "{source}"),
        }
    }
}

#[test]
fn dangerous_elements_go() {
    for element in [
        "<script>a</script>",
        "<SCRIPT/>",
        "<x:ScRiPt><g><script/></g></x:ScRiPt>",
        "<iframe src=\"a\"/>",
        "<Form><g/></Form>",
        "<handler type=\"a\"/>",
        "<set attributeName=\"href\" to=\"javascript:a\"/>",
        "<set attributeName=\" xlink:HREF \"/>",
        "<SET attributename=\"&#104;ref\"/>",
        "<animate attributeName=\"onclick\"/>",
        "<animateTransform attributeName=\"&h;\"/>",
        "<animate attributeName=\"&unknown;\"/>",
        "<?xml-stylesheet type=\"text/xsl\" href=\"#a\"?>",
    ] {
        let document = format!("<!DOCTYPE svg [<!ENTITY h \"href\">]><svg>a{element}b</svg>");
        let expected = "<!DOCTYPE svg [<!ENTITY h \"href\">]><svg>ab</svg>";
        assert_eq!(clean(&document), expected, "{element}");
    }
    for element in [
        "object data=\"a\"",
        "h:embed",
        "META http-equiv=\"refresh\"",
        "base",
        "link",
    ] {
        for (open, close) in [
            ("<foreignObject>", "</foreignObject>"),
            ("<g xmlns:h=\"http://www.w3.org/1999/xhtml\">", "</g>"),
            (
                "<g xmlns=\"http://www.w3.org/&#49;999/xhtml\"><p>",
                "</p></g>",
            ),
        ] {
            let document = format!("<svg>{open}a<{element}/>{close}</svg>");
            let expected = format!("<svg>{open}a{close}</svg>");
            assert_eq!(clean(&document), expected, "{element}");
        }
    }
}

#[test]
fn dangerous_attributes_go() {
    for (element, attribute) in [
        ("g", "onclick=\"a\""),
        ("g", "ONLOAD"),
        ("g", "onanythingnew='a'"),
        ("g", "ev:onclick='a'"),
        ("a", "href='javascript:a'"),
        ("a", "xlink:HREF='java&#10;script:a'"),
        ("a", "href=' \u{1} jAvAsCrIpT&#58;a'"),
        ("a", "href='&js;'"),
        ("a", "href='&j;script:a'"),
        ("a", "href='javascript&colon;a'"),
        ("a", "href='&unknown;'"),
        ("a", "href='data:text/html,a'"),
        ("a", "href='file:///a'"),
        ("feImage", "href='data:image/png,a'"),
        ("use", "href='http://a'"),
        ("use", "href='a.svg#b'"),
        ("use", "href=' #a'"),
        ("USE", "href='data:a'"),
        ("image", "href='file:///a'"),
        ("image", "href='javascript:a'"),
        (
            "button",
            "formaction='java&Tab;script&colon;a' onfocus=a formaction=&js;",
        ),
        ("input", "src='\tvb&#115;cript:a'"),
    ] {
        let doctype = "<!DOCTYPE svg [<!ENTITY js \"javascript:a\"><!ENTITY j \"java\">]>";
        let result = clean(&format!(
            "{doctype}<svg><{element} a='b' {attribute} c=\"d\"/></svg>"
        ));
        let expected = format!("{doctype}<svg><{element} a=\"b\" c=\"d\"/></svg>");
        assert_eq!(result, expected, "{element} {attribute}");
    }
}

#[test]
fn addresses_stay() {
    for element in [
        "<a href=\"\"/>",
        "<a href=\"#b\"/>",
        "<a href=\"b.html?c:d\"/>",
        "<a href=\"//b\"/>",
        "<a href=\"HTTPS://b\"/>",
        "<a href=\" http://b?c=&amp;d=&e;\"/>",
        "<use href=\"\"/>",
        "<use xlink:href=\"#a\"/>",
        "<image href=\"data:image/png;base64,AA\"/>",
        "<image href=\"b.png\"/>",
        "<image xlink:href=\" &#100;ata:,\"/>",
        "<text>javascript:a</text>",
    ] {
        let document = format!("<svg>{element}</svg>");
        assert_eq!(clean(&document), document);
    }
}

#[test]
fn styles_are_scrubbed() {
    for (source, expected) in [
        (
            "<g fill='url(http://a#b)' stroke='url(#c)'/>",
            "<g fill=\"url(about:invalid#removed)\" stroke=\"url(#c)\"/>",
        ),
        (
            "<g Mask='URL( &quot;//a&quot; )' x:cursor='ur\\6c(data:,)'/>",
            "<g Mask='URL( \"about:invalid\" )' x:cursor=\"ur\\6c(data:,)\"/>",
        ),
        (
            "<g style='fill:url(http://a);b:c'/>",
            "<g style=\"fill:url(about:invalid);b:c\"/>",
        ),
        (
            "<g style='a:url(&#106;avascript:b);c:\"&lt;\"'/>",
            "<g style='a:url(about:invalid);c:\"&lt;\"'/>",
        ),
        ("<g style='&css;'/>", "<g style=\"a:url(about:invalid)\"/>"),
        (
            "<g style='a:u&rl;(http://b)'/>",
            "<g style=\"a:url(about:invalid)\"/>",
        ),
        (
            "<style>@import 'a';b > c{d:e}</style>",
            "<style> b &gt; c{d:e}</style>",
        ),
        (
            "<style>@imp<![CDATA[ort 'a';b{c:d}]]></style>",
            "<style> b{c:d}</style>",
        ),
        (
            "<style>@imp<!-- -->ort<g>x</g> 'a'</style>",
            "<style> </style>",
        ),
        ("<style>&#64;import url(a)</style>", "<style> </style>"),
        (
            "<STYLE><style>@import 'a'</style></STYLE>",
            "<STYLE><style> </style></STYLE>",
        ),
        (
            "<style>@import 'a'</style><style>b{}</style>",
            "<style> </style><style>b{}</style>",
        ),
    ] {
        let doctype = "<!DOCTYPE svg [<!ENTITY css \"a:url(//b)\"><!ENTITY rl \"rl\">]>";
        let result = clean(&format!("{doctype}<svg>{source}</svg>"));
        assert_eq!(result, format!("{doctype}<svg>{expected}</svg>"));
    }
}

#[test]
fn encodings() {
    let source = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><svg onload=\"a\">é</svg>";
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><svg>é</svg>";
    let little = source.encode_utf16().flat_map(u16::to_le_bytes);
    let big = source.encode_utf16().flat_map(u16::to_be_bytes);
    let little: Vec<u8> = b"\xFF\xFE".iter().copied().chain(little).collect();
    let big: Vec<u8> = b"\xFE\xFF".iter().copied().chain(big).collect();
    let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><svg onload='a'>\xE9</svg>";
    for bytes in [&little[..], &big, latin] {
        assert_eq!(sanitise(bytes).unwrap(), expected.as_bytes());
    }
    for unknown in [
        &b"<?xml version='1.0' encoding='ebcdic-cp-us'?><svg>\xE9</svg>"[..],
        b"<?xml version='1.0' encoding='utf-7'?><svg>+ADw-script+AD4-\xE9</svg>",
    ] {
        assert!(matches!(sanitise(unknown), Err(SvgError::Encoding(_))));
    }
}

/// Found by fuzzing: the two bytes around what goes are the mark of UTF-16, in which the rest is a script.
#[test]
fn nothing_becomes_another_encoding_by_what_goes() {
    let script = "<svg onload='a()'/>";
    let big: Vec<u8> = script.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let little: Vec<u8> = script.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (first, second, rest) in [(b"\xFE", b"\xFF", &big), (b"\xFF", b"\xFE", &little)] {
        for gone in [
            "<!ENTITY a 'b'>",
            "<script/>",
            "<?xml-stylesheet href='a:b'?>",
        ] {
            let source = [first, gone.as_bytes(), second, rest, b"<svg/>"].concat();
            if let Ok(clean) = sanitise(&source) {
                assert!(!clean.starts_with(b"\xFE\xFF"), "{gone}");
                assert!(!clean.starts_with(b"\xFF\xFE"), "{gone}");
            }
        }
    }
    let found = b"\xFE<!ENTITY a \"b\">\xFFv]xl \x20\x80\0\0\0]>htt\xD4pg\xD8/";
    assert!(matches!(sanitise(found), Err(SvgError::Syntax(_))));
}

/// A script in an encoding whose bytes do not look like one: it is read as a browser reads it, and goes, or stays text for
/// everybody because the result says UTF-8.
#[test]
fn no_encoding_hides_a_script() {
    let hidden: &[(&str, &[u8])] = &[
        ("utf-7", b"+ADw-script+AD4-alert(1)+ADw-/script+AD4-"),
        ("utf-7", b"+ADwAcwBjAHIAaQBwAHQAPgA-"),
        ("iso-2022-jp", b"\x1B(J<script>alert(1)</script>\x1B(B"),
        ("iso-2022-jp", b"<\x1B(Bscript>alert(1)</script>"),
        ("hz-gb-2312", b"<~\nscript>alert(1)</script>"),
        ("iso-2022-kr", b"\x0E<script>alert(1)</script>\x0F"),
        ("shift_jis", b"<g a=\"\x83\"><script>alert(1)</script></g>"),
        (
            "gbk",
            b"<g a=\"\x81\"><script>alert(1)</script><b c=\"\"/></g>",
        ),
        (
            "big5",
            b"<g a='\xA3'><script>alert(1)</script><b c=''/></g>",
        ),
        ("euc-jp", b"\x8E<script>alert(1)</script>"),
        ("x-user-defined", b"<script>alert(1)</script>\xBC"),
        ("utf-16", b"<script>alert(1)</script>"),
        ("utf-8", b"<\xC0\xBCscript>alert(1)</script>"),
        ("ebcdic-cp-us", b"<script>alert(1)</script>"),
    ];
    for (label, inside) in hidden {
        let head = format!("<?xml version='1.0' encoding='{label}'?><svg>");
        let source = [head.as_bytes(), inside, b"</svg>"].concat();
        let Ok(result) = sanitise(&source) else {
            continue;
        };
        let text = String::from_utf8_lossy(&result).into_owned();
        assert!(
            text.to_ascii_lowercase()
                .starts_with("<?xml version=\"1.0\" encoding=\"utf-8\"")
                || *label == "utf-8",
            "{text}"
        );
        assert!(
            !text.contains("<script") && !text.contains("alert(1)<"),
            "{label}: {text}"
        );
        assert_eq!(remains(&text), None, "{label}: {text}");
    }
    // What is removed in front of a late declaration must not make it the first thing.
    for before in [
        "<!ENTITY a 'b'>",
        "<script/>",
        "<?xml-stylesheet type='text/xsl' href='#a'?>",
        "<?xml version='1.0'?>",
    ] {
        let source = format!("{before}<?xml version='1.0' encoding='utf-7'?><svg/>");
        let result = String::from_utf8(sanitise(source.as_bytes()).unwrap().to_vec()).unwrap();
        assert!(!result.contains("utf-7"), "{result}");
    }
    // EBCDIC has no tag for whoever reads ASCII, so it is no drawing.
    let ebcdic = b"\x4C\x6F\xA7\x94\x93\x40\xA5\x6E\x4C\xA2\xA5\x87\x6E";
    assert_eq!(crate::format::sniff::sniff(ebcdic, None, None), None);
}

#[test]
fn hostile_documents_take_linear_time() {
    let entity = |value: &str, body: &str, count: usize| {
        format!(
            "<!DOCTYPE svg [<!ENTITY e \"{value}\">]><svg>{}</svg>",
            body.repeat(count)
        )
    };
    let long = "a:b;".repeat(250_000);
    let blank = " ".repeat(1_000_000);
    let laughs: String = (1..50)
        .map(|i| format!("<!ENTITY a{i} \"{}\">", format!("&a{};", i - 1).repeat(10)))
        .collect();
    let cases = [
        ("depth", "<g>".repeat(100_000)),
        (
            "closed depth",
            "<g>".repeat(100_000) + &"</g>".repeat(100_000),
        ),
        (
            "depth in script",
            "<svg><script>".to_owned() + &"<g>".repeat(100_000),
        ),
        ("styles in styles", "<style>a".repeat(100_000)),
        ("attributes", format!("<svg {}/>", "a=b ".repeat(200_000))),
        ("values", format!("<svg a='{}'/>", "&#32;".repeat(400_000))),
        (
            "brackets",
            format!("<style>{}</style>", "({[".repeat(500_000)),
        ),
        (
            "imports",
            format!("<style>{}</style>", "@import a;".repeat(100_000)),
        ),
        (
            "long style entity",
            entity(&long, "<g style='&e;'/>", 10_000),
        ),
        (
            "long style text entity",
            entity(&long, "<style>&e;</style>", 10_000),
        ),
        (
            "long address entity",
            entity(&blank, "<a href='&e;' b='&e;'/>", 10_000),
        ),
        (
            "long target entity",
            entity(&blank, "<set attributeName='&e;'/>", 10_000),
        ),
        (
            "laughs",
            format!("<!DOCTYPE svg [<!ENTITY a0 'ha'>{laughs}]><svg a='&a49;'>&a49;</svg>"),
        ),
        (
            "quotes",
            format!(
                "<!DOCTYPE svg [{}]><svg/>",
                "<!ENTITY a \"'>".repeat(100_000)
            ),
        ),
        ("unclosed", "<svg><![CDATA[".repeat(100_000)),
    ];
    for (name, source) in cases {
        let started = Instant::now();
        let result = sanitise(source.as_bytes());
        let elapsed = started.elapsed();
        let size = result.map_or(0, |clean| clean.len());
        assert!(size <= source.len() * 4, "{name}: {size} bytes");
        let limit = Duration::from_secs(if name.contains("depth") { 1 } else { 5 });
        assert!(elapsed < limit, "{name}: {elapsed:?}");
    }
}

/// What a strict parser finds in a result that must not be there.
fn remains(text: &str) -> Option<String> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    loop {
        let tag = match reader.read_event() {
            Ok(Event::Start(tag) | Event::Empty(tag)) => tag,
            Ok(Event::Eof) => return None,
            Ok(_) => continue,
            // A browser stops here too.
            Err(_) => return None,
        };
        let name = tag.local_name().as_ref().to_lowercase();
        if ["script", "iframe", "form"].contains(&name.as_str()) {
            return Some(name);
        }
        for attribute in tag.attributes().with_checks(false).map_while(Result::ok) {
            let key = attribute.key.local_name().as_ref().to_lowercase();
            let namespace = attribute.key.as_ref().starts_with("xmlns");
            let value = attribute
                .value
                .replace("&#10;", "")
                .replace("&#x6a;", "j")
                .replace("&#58;", ":")
                .replace(['\n', '\t', ' '], "")
                .to_lowercase();
            if !namespace && (key.starts_with("on") || value.starts_with("javascript:")) {
                return Some(format!("{key}={value}"));
            }
        }
    }
}

/// Text made of what the sanitiser has to tell apart.
fn fragments() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "<",
        ">",
        "/>",
        "</",
        "=",
        "\"",
        "'",
        " ",
        "\n",
        "&",
        ";",
        "<svg>",
        "</svg>",
        "<g",
        "</g>",
        "<script>",
        "</script>",
        "<SCRIPT",
        "script",
        "<x:script/>",
        "<style>",
        "</style>",
        "@import",
        "url(",
        ")",
        "{",
        "}",
        "javascript:",
        "java&#10;script:",
        "&#x6a;avascript&#58;",
        "http://a",
        " href=",
        " xlink:href='",
        " onload=",
        " on",
        "onclick='a'",
        " style=\"",
        "<!--",
        "-->",
        "--",
        "<![CDATA[",
        "]]>",
        "]",
        "<?",
        "?>",
        "<?xml version='1.0' encoding='latin1'?>",
        "<!DOCTYPE svg",
        "[",
        "<!ENTITY e \"",
        "<!ENTITY e 'javascript:'>",
        "&e;",
        "<set attributeName='href'/>",
        "<foreignObject>",
        "</foreignObject>",
        "<a",
        "<use",
        "<image",
        "a",
        "é",
        "\\",
        "/*",
        "*/",
        "\u{0}",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Documents that mostly parse, so that the properties meet results.
fn documents() -> impl Strategy<Value = String> {
    let attribute = prop::sample::select(vec![
        " a='b'",
        " onload=a",
        " ONclick='b'",
        " href='java&#10;script:a'",
        " href=\"&e;\"",
        " xlink:href='#a'",
        " href=http://a",
        " x:href",
        " style='a:url(//b)'",
        " style='@im@import a;port b'",
        " b=\"'\"",
        " c='\"'",
        " d=x\"y'onload=a",
        " e='<script>'",
        " xmlns='http://www.w3.org/1999/xhtml'",
        " action=' javascript:a'",
    ]);
    let name = prop::sample::select(vec![
        "g",
        "script",
        "SCRIPT",
        "x:form",
        "iframe",
        "style",
        "a",
        "use",
        "image",
        "set",
        "foreignObject",
        "meta",
    ]);
    let text = prop::sample::select(vec![
        "",
        "a",
        "&e;",
        "@import 'a';",
        "@imp",
        "ort 'b';",
        "<!-- c -->",
        "<![CDATA[<script>]]>",
        "<?a b?>",
        "<?xml-stylesheet href='#a' type='text/xsl'?>",
        "url(//a)",
        "\\",
        "\"",
        "/*",
    ]);
    let leaf = text.prop_map(str::to_owned);
    let tree = leaf.prop_recursive(4, 40, 5, move |inner| {
        let attributes = prop::collection::vec(attribute.clone(), 0..4);
        (name.clone(), attributes, prop::collection::vec(inner, 0..5)).prop_map(
            |(name, attributes, children)| {
                format!(
                    "<{name}{}>{}</{name}>",
                    attributes.concat(),
                    children.concat()
                )
            },
        )
    });
    tree.prop_map(|tree| format!("<!DOCTYPE svg [<!ENTITY e 'javascript:a'>]><svg>{tree}</svg>"))
}

fn check(source: &[u8]) -> Result<(), TestCaseError> {
    let Ok(clean) = sanitise(source) else {
        return Ok(());
    };
    prop_assert_eq!(remains(&String::from_utf8_lossy(&clean)), None);
    let again = sanitise(&clean).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(again, clean);
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes(source in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&source)?;
    }

    #[test]
    fn any_fragments(source in fragments()) {
        check(source.as_bytes())?;
        check(format!("<svg>{source}").as_bytes())?;
    }

    #[test]
    fn any_document(source in documents()) {
        prop_assert!(sanitise(source.as_bytes()).is_ok());
        check(source.as_bytes())?;
    }

    #[test]
    fn any_style(css in "[@a-u\\\\;:(){}\"'/* \n]{0,60}|(@import|url\\(|//a|http:|\"|'|;|\\)|\\\\|/\\*|\\*/|\\{|\\}| |a|\n){0,20}") {
        if let Some(clean) = css::scrub(&css) {
            prop_assert_eq!(css::scrub(&clean), None);
        }
    }
}
