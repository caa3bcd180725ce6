//! What the machine gives this process: the memory that it may use.

use std::fs;

/// Bytes of memory that this process may use: the least of the machine's, its control group's and its own limit of address
/// space. `None` where the system does not tell.
pub(super) fn memory() -> Option<u64> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let group = read("/proc/self/cgroup").unwrap_or_default();
    let limits = [
        read("/proc/meminfo").and_then(|text| total(&text)),
        read("/proc/self/limits").and_then(|text| address_space(&text)),
    ];
    let groups = group_files(&group).into_iter();
    let groups = groups.filter_map(|path| read(&path)?.trim().parse().ok());
    limits.into_iter().flatten().chain(groups).min()
}

/// `MemTotal` of proc(5) `meminfo`, which counts kibibytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The soft limit of proc(5) `limits`; `None` where it is unlimited.
fn address_space(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|l| l.strip_prefix("Max address space"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Files with the limits of the control groups that the process is in, as proc(5) `cgroup` names them, and those of the
/// groups around it. In a container the group's own folder is the root.
fn group_files(cgroup: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in cgroup.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            c if c.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let mut path = path.trim_end_matches('/');
        loop {
            files.push(format!("{root}{path}/{file}"));
            match path.rfind('/') {
                Some(end) => path = path.get(..end).unwrap_or_default(),
                None => break,
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_the_machine() {
        let text = "MemTotal:        8000000 kB\nMemFree:          100 kB\n";
        assert_eq!(total(text), Some(8_192_000_000));
        assert_eq!(total("MemFree: 1 kB"), None);
        assert!(memory().is_some_and(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn limits_of_the_address_space() {
        let line = |soft| format!("Max address space         {soft}   unlimited   bytes\n");
        assert_eq!(address_space(&line("1073741824")), Some(1 << 30));
        assert_eq!(address_space(&line("unlimited")), None);
        assert_eq!(address_space(""), None);
    }

    #[test]
    fn files_of_control_groups() {
        let v1 = "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/\n";
        assert_eq!(
            group_files(v1),
            [
                "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/docker/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory.max",
            ]
        );
        assert_eq!(
            group_files("0::/system.slice/a.service\n").first().unwrap(),
            "/sys/fs/cgroup/system.slice/a.service/memory.max"
        );
        assert!(group_files("nonsense").is_empty());
    }
}
