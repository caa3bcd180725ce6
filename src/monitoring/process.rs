//! `process_*` of the running process, read from `/proc` at scrape time. Names as imgproxy's: `spec/monitoring.md` A1.
//!
//! Written as text because the CPU counter has fractions, which the recorder's counters cannot hold.

use std::fmt::Write;
use std::fs;

/// Name, type and help of each family.
pub const PROCESS_METRICS: &[(&str, &str, &str)] = &[
    (
        "process_cpu_seconds_total",
        "counter",
        "Processor time used.",
    ),
    ("process_resident_memory_bytes", "gauge", "Resident memory."),
    ("process_virtual_memory_bytes", "gauge", "Virtual memory."),
    (
        "process_virtual_memory_max_bytes",
        "gauge",
        "Limit of virtual memory, -1 for none.",
    ),
    ("process_open_fds", "gauge", "Open file descriptors."),
    (
        "process_max_fds",
        "gauge",
        "Limit of open file descriptors.",
    ),
    (
        "process_start_time_seconds",
        "gauge",
        "Start of the process in Unix time.",
    ),
    (
        "process_network_receive_bytes_total",
        "counter",
        "Bytes received over the network.",
    ),
    (
        "process_network_transmit_bytes_total",
        "counter",
        "Bytes sent over the network.",
    ),
];

/// Appends the families that this system can tell.
pub(super) fn render(out: &mut String) {
    let stat = Stat::read();
    let network = network_octets();
    for (name, kind, help) in PROCESS_METRICS {
        let value = match *name {
            "process_cpu_seconds_total" => stat.as_ref().map(|s| s.cpu_seconds),
            "process_resident_memory_bytes" => stat.as_ref().map(|s| s.resident),
            "process_virtual_memory_bytes" => stat.as_ref().map(|s| s.virtual_size),
            "process_virtual_memory_max_bytes" => limit("Max address space"),
            "process_open_fds" => open_fds(),
            "process_max_fds" => limit("Max open files"),
            "process_start_time_seconds" => stat.as_ref().and_then(|s| s.start_time),
            "process_network_receive_bytes_total" => network.map(|n| n.0),
            _ => network.map(|n| n.1),
        };
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = write!(
                out,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n"
            );
        }
    }
}

/// Resident and virtual memory of this process in bytes; `None` where the system does not tell.
pub fn memory() -> Option<(f64, f64)> {
    Stat::read().map(|stat| (stat.resident, stat.virtual_size))
}

/// Resident memory, from the second number of proc(5) `statm`.
pub(super) fn resident_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

struct Stat {
    cpu_seconds: f64,
    virtual_size: f64,
    resident: f64,
    start_time: Option<f64>,
}

impl Stat {
    /// Fields of proc(5) `stat`, counted after the parenthesised command name.
    fn read() -> Option<Self> {
        let text = fs::read_to_string("/proc/self/stat").ok()?;
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |index: usize| -> Option<f64> { fields.get(index)?.parse().ok() };
        Some(Self {
            cpu_seconds: (field(11)? + field(12)?) / TICKS_PER_SECOND,
            virtual_size: field(20)?,
            resident: field(21)? * PAGE_BYTES,
            start_time: boot_time()
                .zip(field(19))
                .map(|(boot, t)| boot + t / TICKS_PER_SECOND),
        })
    }
}

fn boot_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines()
        .find_map(|l| l.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

fn open_fds() -> Option<f64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them is the directory handle of this very reading.
    u32::try_from(count.saturating_sub(1)).ok().map(f64::from)
}

fn limit(name: &str) -> Option<f64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let soft = text
        .lines()
        .find_map(|l| l.strip_prefix(name))?
        .split_whitespace()
        .next()?
        .to_owned();
    if soft == "unlimited" {
        return Some(-1.0);
    }
    soft.parse().ok()
}

/// Octets in and out of the `IpExt` group, whose names and values are on two lines.
fn network_octets() -> Option<(f64, f64)> {
    let text = fs::read_to_string("/proc/self/net/netstat").ok()?;
    let mut lines = text.lines().filter_map(|l| l.strip_prefix("IpExt:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let value = |wanted: &str| {
        names
            .split_whitespace()
            .zip(values.split_whitespace())
            .find_map(|(name, value)| (name == wanted).then(|| value.parse().ok())?)
    };
    Some((value("InOctets")?, value("OutOctets")?))
}

/// `USER_HZ` is 100 on every Linux that Rust's standard library supports.
const TICKS_PER_SECOND: f64 = 100.0;
/// Bytes in a page as `/proc` counts them; 4 KiB on the supported platforms (x86-64, and arm64 as the distributions build it).
const PAGE_BYTES: f64 = 4096.0;
