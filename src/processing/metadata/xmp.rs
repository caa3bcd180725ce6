//! XMP: keeps the properties that say whose picture it is.

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;
use quick_xml::writer::Writer;

const DC: &str = "http://purl.org/dc/elements/1.1/";
const RIGHTS: &str = "http://ns.adobe.com/xap/1.0/rights/";
const CC: &str = "http://creativecommons.org/ns#";
const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
/// Of Dublin Core only these say who made or owns the picture.
const DC_KEPT: &[&str] = &["rights", "contributor", "creator", "publisher"];
/// Deeper packets are not written by any program; refusing them bounds the work.
const DEEPEST: usize = 64;

/// The packet with only the copyright properties, or `None` where none is left or the packet is damaged.
pub(super) fn copyright_only(data: &[u8]) -> Option<Vec<u8>> {
    let mut reader = NsReader::from_reader(data);
    let mut writer = Writer::new(Vec::new());
    let mut buffer = Vec::new();
    let (mut depth, mut description, mut found) = (0_usize, None, false);
    // Depth at which a dropped or a kept property began; everything below goes the same way.
    let (mut dropped, mut kept) = (None, None);
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).ok()?;
        match event {
            Event::Start(start) => {
                depth += 1;
                if depth > DEEPEST {
                    return None;
                }
                if dropped.is_some() {
                    continue;
                }
                if kept.is_none() && description == Some(depth - 1) {
                    if !is_kept(&reader, &start) {
                        dropped = Some(depth);
                        continue;
                    }
                    (kept, found) = (Some(depth), true);
                }
                let start = if is_description(&reader, &start) && kept.is_none() {
                    description = Some(depth);
                    let (start, properties) = filter_attributes(&reader, &start)?;
                    found |= properties;
                    start
                } else {
                    start.into_owned()
                };
                writer.write_event(Event::Start(start)).ok()?;
            }
            Event::Empty(start) => {
                if dropped.is_some() {
                    continue;
                }
                let property = kept.is_none() && description == Some(depth);
                if property && !is_kept(&reader, &start) {
                    continue;
                }
                found |= property;
                let start = if is_description(&reader, &start) && kept.is_none() {
                    let (start, properties) = filter_attributes(&reader, &start)?;
                    found |= properties;
                    start
                } else {
                    start.into_owned()
                };
                writer.write_event(Event::Empty(start)).ok()?;
            }
            Event::End(end) => {
                if dropped.is_none() {
                    writer.write_event(Event::End(end)).ok()?;
                }
                for mark in [&mut dropped, &mut kept, &mut description] {
                    if *mark == Some(depth) {
                        *mark = None;
                    }
                }
                depth = depth.checked_sub(1)?;
            }
            Event::Eof => break,
            other => {
                if dropped.is_none() && (kept.is_some() || description.is_none()) {
                    writer.write_event(other).ok()?;
                }
            }
        }
    }
    (found && depth == 0).then(|| writer.into_inner())
}

fn is_description(reader: &NsReader<&[u8]>, start: &BytesStart<'_>) -> bool {
    let (namespace, local) = reader.resolver().resolve_element(start.name());
    is_namespace(&namespace, RDF) && local.as_ref() == "Description"
}

fn is_kept(reader: &NsReader<&[u8]>, start: &BytesStart<'_>) -> bool {
    let (namespace, local) = reader.resolver().resolve_element(start.name());
    is_kept_property(&namespace, local.as_ref())
}

/// Keeps namespace declarations, `rdf:` attributes and wanted properties; tells whether a property was kept.
fn filter_attributes(
    reader: &NsReader<&[u8]>,
    start: &BytesStart<'_>,
) -> Option<(BytesStart<'static>, bool)> {
    let name = start.name().as_ref().to_owned();
    let mut out = BytesStart::new(name);
    let mut properties = false;
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        let (namespace, local) = reader.resolver().resolve_attribute(attribute.key);
        let property = is_kept_property(&namespace, local.as_ref());
        properties |= property;
        if property
            || attribute.key.as_namespace_binding().is_some()
            || is_namespace(&namespace, RDF)
        {
            out.push_attribute(attribute);
        }
    }
    Some((out, properties))
}

fn is_kept_property(namespace: &ResolveResult<'_>, local: &str) -> bool {
    is_namespace(namespace, RIGHTS)
        || is_namespace(namespace, CC)
        || (is_namespace(namespace, DC) && DC_KEPT.contains(&local))
}

fn is_namespace(resolved: &ResolveResult<'_>, uri: &str) -> bool {
    matches!(resolved, ResolveResult::Bound(namespace) if namespace.as_ref() == uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: &str = r#"<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Make="Canon" xmpRights:Marked="True"><dc:creator><rdf:Seq><rdf:li>Ansel</rdf:li></rdf:Seq></dc:creator><dc:subject><rdf:Bag><rdf:li>dc:creator</rdf:li></rdf:Bag></dc:subject><tiff:Model/></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"#;

    #[test]
    fn keeps_only_the_owner() {
        let out = String::from_utf8(copyright_only(PACKET.as_bytes()).unwrap()).unwrap();
        assert!(
            out.contains("<dc:creator><rdf:Seq><rdf:li>Ansel</rdf:li></rdf:Seq></dc:creator>"),
            "{out}"
        );
        assert!(out.contains("xmpRights:Marked=\"True\""), "{out}");
        for gone in ["Canon", "subject", "tiff:Model"] {
            assert!(!out.contains(gone), "{gone} in {out}");
        }
    }

    #[test]
    fn nothing_left_or_damaged() {
        let only_make = PACKET
            .replace("dc:creator", "dc:title")
            .replace(" xmpRights:Marked=\"True\"", "");
        assert_eq!(copyright_only(only_make.as_bytes()), None);
        for cut in 0..PACKET.len() {
            let _ = copyright_only(&PACKET.as_bytes()[..cut]);
        }
        let deep = "<a>".repeat(100_000);
        assert_eq!(copyright_only(deep.as_bytes()), None);
    }
}
