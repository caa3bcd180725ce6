//! XMP: keeps the properties that say whose picture it is, in a new compact packet.

use std::collections::BTreeMap;

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{PrefixDeclaration, ResolveResult};
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
/// Start of a packet; the identifier is the same in every packet.
const HEAD: &str = "<?xpacket begin=\"\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n\
    <x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">";
const TAIL: &str = "</rdf:RDF></x:xmpmeta>\n<?xpacket end=\"w\"?>";

/// A packet with only the copyright properties. It may hold none of them, but a source without any property of the
/// three namespaces, and one with a damaged packet, gets `None`. (That an empty packet is written is recorded behaviour;
/// `spec/pipeline.md` section 9 says otherwise.)
pub(in crate::processing) fn copyright_only(data: &[u8]) -> Option<Vec<u8>> {
    let mut reader = NsReader::from_reader(data);
    let mut filter = Filter::default();
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).ok()? {
            Event::Eof => break,
            event => filter.take(&reader, event)?,
        }
    }
    (filter.seen && filter.depth == 0).then(|| format!("{HEAD}{}{TAIL}", filter.out).into_bytes())
}

type Reader<'a> = NsReader<&'a [u8]>;

/// Walks through a packet and collects what is kept.
#[derive(Default)]
struct Filter {
    depth: usize,
    /// Whether any property of the three namespaces has come.
    seen: bool,
    /// The description that the walk is in.
    description: Option<Description>,
    /// Finished descriptions.
    out: String,
}

/// One `rdf:Description` on its way to the new packet.
struct Description {
    depth: usize,
    /// Prefixes in use, with their namespaces.
    namespaces: BTreeMap<String, String>,
    /// Kept properties in their short form, name and escaped value.
    attributes: Vec<(String, String)>,
    /// Kept properties as elements.
    elements: Writer<Vec<u8>>,
    /// Depth of the property that the walk is in, if it is kept.
    kept: Option<usize>,
}

impl Filter {
    fn take(&mut self, reader: &Reader<'_>, event: Event<'_>) -> Option<()> {
        match event {
            Event::Start(start) => {
                self.depth += 1;
                if self.depth > DEEPEST {
                    return None;
                }
                self.open(reader, &start, self.depth)?;
                if let Some(description) = self.description.as_mut().filter(|d| d.kept.is_some()) {
                    description.elements.write_event(Event::Start(start)).ok()?;
                }
            }
            Event::Empty(start) => {
                let depth = self.depth + 1;
                self.open(reader, &start, depth)?;
                if let Some(description) = self.description.as_mut().filter(|d| d.kept.is_some()) {
                    description.elements.write_event(Event::Empty(start)).ok()?;
                }
                self.close(depth);
            }
            Event::End(end) => {
                if let Some(description) = self.description.as_mut().filter(|d| d.kept.is_some()) {
                    description.elements.write_event(Event::End(end)).ok()?;
                }
                self.close(self.depth);
                self.depth = self.depth.checked_sub(1)?;
            }
            Event::Text(text) if text.bytes().all(|b| b.is_ascii_whitespace()) => {}
            event @ (Event::Text(_) | Event::CData(_) | Event::GeneralRef(_)) => {
                if let Some(description) = self.description.as_mut().filter(|d| d.kept.is_some()) {
                    description.elements.write_event(event).ok()?;
                }
            }
            _ => {}
        }
        Some(())
    }

    /// Enters an element: a description, a property of one, or something inside a property.
    fn open(&mut self, reader: &Reader<'_>, start: &BytesStart<'_>, depth: usize) -> Option<()> {
        let (namespace, local) = reader.resolver().resolve_element(start.name());
        let Some(description) = &mut self.description else {
            if is_namespace(&namespace, RDF) && local.as_ref() == "Description" {
                let (description, seen) = Description::new(reader, start, depth)?;
                self.description = Some(description);
                self.seen |= seen;
            }
            return Some(());
        };
        if depth == description.depth + 1 {
            self.seen |= is_ours(&namespace);
            if is_kept(&namespace, local.as_ref()) {
                description.kept = Some(depth);
            }
        }
        if description.kept.is_some() {
            description.declare(reader, start)?;
        }
        Some(())
    }

    fn close(&mut self, depth: usize) {
        let Some(description) = &mut self.description else {
            return;
        };
        if description.kept == Some(depth) {
            description.kept = None;
        }
        if description.depth == depth
            && let Some(done) = self.description.take()
        {
            done.write(&mut self.out);
        }
    }
}

impl Description {
    /// Begins a description; says too whether one of its attributes is a property of the three namespaces.
    fn new(reader: &Reader<'_>, start: &BytesStart<'_>, depth: usize) -> Option<(Self, bool)> {
        let mut new = Self {
            depth,
            namespaces: BTreeMap::new(),
            attributes: Vec::new(),
            elements: Writer::new(Vec::new()),
            kept: None,
        };
        let mut seen = false;
        for attribute in start.attributes() {
            let attribute = attribute.ok()?;
            let (namespace, local) = reader.resolver().resolve_attribute(attribute.key);
            seen |= is_ours(&namespace);
            if is_kept(&namespace, local.as_ref()) {
                new.note(attribute.key.prefix().map(|p| p.into_inner()), &namespace);
                let value = attribute.value.replace('"', "&quot;");
                new.attributes
                    .push((attribute.key.as_ref().to_owned(), value));
            }
        }
        Some((new, seen))
    }

    /// Remembers the namespaces that an element and its attributes use.
    fn declare(&mut self, reader: &Reader<'_>, start: &BytesStart<'_>) -> Option<()> {
        let (namespace, _) = reader.resolver().resolve_element(start.name());
        self.note(start.name().prefix().map(|p| p.into_inner()), &namespace);
        for attribute in start.attributes() {
            let attribute = attribute.ok()?;
            if !matches!(
                attribute.key.as_namespace_binding(),
                Some(PrefixDeclaration::Named(_) | PrefixDeclaration::Default)
            ) {
                let (namespace, _) = reader.resolver().resolve_attribute(attribute.key);
                self.note(attribute.key.prefix().map(|p| p.into_inner()), &namespace);
            }
        }
        Some(())
    }

    fn note(&mut self, prefix: Option<&str>, namespace: &ResolveResult<'_>) {
        if let (Some(prefix), ResolveResult::Bound(namespace)) = (prefix, namespace)
            && prefix != "xml"
            && prefix != "rdf"
        {
            self.namespaces
                .insert(prefix.to_owned(), namespace.as_ref().to_owned());
        }
    }

    fn write(self, out: &mut String) {
        let elements = self.elements.into_inner();
        if elements.is_empty() && self.attributes.is_empty() {
            return;
        }
        out.push_str("<rdf:Description rdf:about=\"\"");
        let declared = self
            .namespaces
            .into_iter()
            .map(|(prefix, uri)| (format!("xmlns:{prefix}"), uri));
        for (name, value) in declared.chain(self.attributes) {
            out.push_str(&format!(" {name}=\"{value}\""));
        }
        out.push('>');
        out.push_str(&String::from_utf8_lossy(&elements));
        out.push_str("</rdf:Description>");
    }
}

/// Whether a property belongs to one of the namespaces that can name an owner.
fn is_ours(namespace: &ResolveResult<'_>) -> bool {
    [DC, RIGHTS, CC]
        .into_iter()
        .any(|uri| is_namespace(namespace, uri))
}

fn is_kept(namespace: &ResolveResult<'_>, local: &str) -> bool {
    is_ours(namespace) && (!is_namespace(namespace, DC) || DC_KEPT.contains(&local))
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
        let only_title = PACKET
            .replace("dc:creator", "dc:title")
            .replace(" xmpRights:Marked=\"True\"", "");
        let empty = copyright_only(only_title.as_bytes()).unwrap();
        assert_eq!(empty, format!("{HEAD}{TAIL}").into_bytes());
        let only_make = only_title.replace("dc:", "tiff:");
        assert_eq!(copyright_only(only_make.as_bytes()), None);
        for cut in 0..PACKET.len() {
            let _ = copyright_only(&PACKET.as_bytes()[..cut]);
        }
        let deep = "<a>".repeat(100_000);
        assert_eq!(copyright_only(deep.as_bytes()), None);
    }
}
