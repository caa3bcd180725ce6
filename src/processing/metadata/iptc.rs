//! IPTC inside Photoshop image resources: keeps the datasets that name the author.

/// Start of a Photoshop 3.0 resource block.
const PHOTOSHOP: &[u8] = b"Photoshop 3.0\0";
/// Signature of one resource.
const RESOURCE: &[u8] = b"8BIM";
/// Resource number of IPTC data.
const IPTC: u16 = 0x0404;
/// First byte of every dataset.
const TAG_MARKER: u8 = 0x1c;
/// The application record.
const APPLICATION_RECORD: u8 = 2;
/// By-line, credit, copyright notice, with their largest sizes in bytes.
const KEPT: &[(u8, usize)] = &[(80, 32), (110, 32), (116, 128)];

/// The block with only the copyright datasets, or `None` where none is left or the data is damaged.
pub(in crate::processing) fn copyright_only(data: &[u8]) -> Option<Vec<u8>> {
    let datasets = resource(data.strip_prefix(PHOTOSHOP)?)?;
    let kept = filter(datasets);
    if kept.is_empty() {
        return None;
    }
    let mut out = [PHOTOSHOP, RESOURCE, &IPTC.to_be_bytes(), &[0, 0]].concat();
    out.extend_from_slice(&u32::try_from(kept.len()).ok()?.to_be_bytes());
    out.extend_from_slice(&kept);
    if kept.len() % 2 == 1 {
        out.push(0);
    }
    Some(out)
}

/// The payload of the IPTC resource.
fn resource(mut data: &[u8]) -> Option<&[u8]> {
    loop {
        data = data.strip_prefix(RESOURCE)?;
        let (number, rest) = data.split_first_chunk::<2>()?;
        let name_length = 1 + usize::from(*rest.first()?);
        let rest = rest.get(name_length + name_length % 2..)?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let payload = rest.get(..length)?;
        if u16::from_be_bytes(*number) == IPTC {
            return Some(payload);
        }
        data = rest.get(length + length % 2..)?;
    }
}

/// Datasets of other records stay; of the application record only those in [`KEPT`].
fn filter(mut data: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    while let Some((&[marker, record, dataset, high, low], rest)) = data.split_first_chunk::<5>() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        // Extended datasets (bit 15) are longer than any limit of the table.
        if marker != TAG_MARKER || length > 0x7fff {
            break;
        }
        let Some(value) = rest.get(..length) else {
            break;
        };
        let fits = KEPT
            .iter()
            .any(|(number, limit)| *number == dataset && length <= *limit);
        if record != APPLICATION_RECORD || fits {
            kept.extend_from_slice(&[marker, record, dataset, high, low]);
            kept.extend_from_slice(value);
        }
        data = rest.get(length..).unwrap_or_default();
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(record: u8, number: u8, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        [&[TAG_MARKER, record, number, length[0], length[1]], value].concat()
    }

    fn block(payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let other = [RESOURCE, &[4, 5, 0, 0, 0, 0, 0, 3], b"abc\0"].concat();
        [
            PHOTOSHOP,
            &other,
            RESOURCE,
            &IPTC.to_be_bytes(),
            &[0, 0],
            &length,
            payload,
        ]
        .concat()
    }

    #[test]
    fn keeps_only_the_author() {
        let wanted = [dataset(2, 80, b"Ansel"), dataset(2, 116, b"(c) 2026")].concat();
        let all = [
            dataset(2, 5, b"Title"),
            wanted.clone(),
            dataset(2, 25, b"keyword"),
        ]
        .concat();
        let out = copyright_only(&block(&all)).unwrap();
        assert_eq!(
            resource(out.strip_prefix(PHOTOSHOP).unwrap()),
            Some(&wanted[..])
        );
    }

    #[test]
    fn nothing_left_or_damaged() {
        let title = dataset(2, 5, b"Title");
        let long = dataset(2, 116, &[b'x'; 129]);
        for data in [
            &b""[..],
            b"JFIF",
            &block(&title),
            &block(&long),
            &block(b"\x1c\x02"),
        ] {
            assert_eq!(copyright_only(data), None, "{data:?}");
        }
        let whole = block(&dataset(2, 80, b"Ansel"));
        for cut in 0..whole.len() {
            let _ = copyright_only(&whole[..cut]);
        }
    }
}
