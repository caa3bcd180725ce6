//! The directory: one file per entry, named by its key, in 256 folders. Nothing else is ever opened, and no symbolic link
//! is followed to an entry.
//!
//! A file is written under another name and then renamed, so that it is there whole or not at all. Nothing is synced: after
//! a power failure a file may be cut or empty, which its checksum tells.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::cache::CacheKey;

/// The directory of one cache.
#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
    number: AtomicU64,
}

/// What was found under the name of an entry.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// A file, whole as far as its length goes.
    File(Vec<u8>),
    /// Something that no cache has put there.
    Foreign,
}

/// A file that the scan has come upon.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) key: CacheKey,
    /// Bytes on the disk.
    pub(super) size: u64,
    pub(super) used: SystemTime,
    /// The beginning of the file.
    pub(super) start: Vec<u8>,
}

impl Files {
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            number: AtomicU64::new(0),
        }
    }

    /// Creates the directory where it is missing.
    pub(super) fn prepare(&self) -> io::Result<()> {
        folder(&self.root.join(TEMPORARY))
    }

    /// Reads the file of an entry, at most `limit` bytes.
    pub(super) fn read(&self, key: &CacheKey, limit: u64) -> io::Result<Found> {
        let file = match open(&self.path(key)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            // A symbolic link, or a socket.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENXIO)) => {
                return Ok(Found::Foreign);
            }
            Err(error) => return Err(error),
        };
        let facts = file.metadata()?;
        if !facts.is_file() || facts.len() > limit {
            return Ok(Found::Foreign);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(facts.len()).unwrap_or(0) + 1);
        (&file).take(limit + 1).read_to_end(&mut bytes)?;
        let used = facts.modified()?;
        // So that the order of use outlives the process; how often is a compromise.
        if is_apart(used, TOUCH_EVERY) {
            // A read-only directory is still good for reading.
            let _ = file.set_modified(SystemTime::now());
        }
        Ok(Found::File(bytes))
    }

    /// Writes the pieces of an entry under a name of their own.
    pub(super) fn write(&self, pieces: [&[u8]; 2]) -> io::Result<Temporary> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let name = format!(
            "{}-{number}-{:016x}",
            std::process::id(),
            rand::random::<u64>()
        );
        let path = self.root.join(TEMPORARY).join(name);
        let create = || {
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW)
                .open(&path)
        };
        let mut file = match create() {
            // Somebody has removed the directory.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.prepare()?;
                create()?
            }
            result => result?,
        };
        let written = Temporary { path };
        for piece in pieces {
            file.write_all(piece)?;
        }
        Ok(written)
    }

    /// Gives what was written the name of its entry, in place of what may be there.
    pub(super) fn publish(&self, written: Temporary, key: &CacheKey) -> io::Result<()> {
        let path = self.path(key);
        if let Some(parent) = path.parent() {
            folder(parent)?;
        }
        fs::rename(&written.path, &path)?;
        std::mem::forget(written);
        Ok(())
    }

    /// Removes whatever has the name of an entry.
    pub(super) fn remove(&self, key: &CacheKey) -> io::Result<()> {
        let path = self.path(key);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => fs::remove_dir_all(&path),
            result => result,
        }
    }

    /// Shows every entry's file to `visit`, and removes what was being written long ago. Folders that cannot be read
    /// count as empty, except the topmost.
    pub(super) fn scan(&self, start: usize, mut visit: impl FnMut(Scanned)) -> io::Result<()> {
        for shard in fs::read_dir(&self.root)? {
            let shard = shard?;
            if !shard.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let is_temporary = shard.file_name() == TEMPORARY;
            for file in fs::read_dir(shard.path()).into_iter().flatten().flatten() {
                if is_temporary {
                    remove_leftover(&file.path());
                } else if let Some(scanned) = scan_file(&file, start) {
                    visit(scanned);
                }
            }
        }
        Ok(())
    }

    /// Where the file of an entry is.
    pub(super) fn path(&self, key: &CacheKey) -> PathBuf {
        let name = key.to_string();
        let shard = name.get(..2).unwrap_or_default();
        self.root.join(shard).join(&name)
    }
}

/// A file that is not an entry yet; removed unless it becomes one.
#[derive(Debug)]
pub(super) struct Temporary {
    path: PathBuf,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // One that stays is removed by a later scan.
        let _ = fs::remove_file(&self.path);
    }
}

/// What a file takes on the disk: whole blocks, and its name.
pub(super) fn size_on_disk(length: u64) -> u64 {
    length
        .div_ceil(BLOCK)
        .saturating_mul(BLOCK)
        .saturating_add(NAME)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        // Not to wait for the other end of a pipe that was put there.
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
}

/// A folder for this user alone. A symbolic link in its place is refused.
fn folder(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(facts) if facts.is_dir() => Ok(()),
        Ok(_) => Err(io::ErrorKind::NotADirectory.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(path)
        }
        Err(error) => Err(error),
    }
}

fn scan_file(file: &fs::DirEntry, start: usize) -> Option<Scanned> {
    let key = CacheKey::from_hex(file.file_name().to_str()?)?;
    let opened = open(&file.path()).ok()?;
    let facts = opened.metadata().ok().filter(|facts| facts.is_file())?;
    let mut bytes = Vec::new();
    opened.take(start as u64).read_to_end(&mut bytes).ok()?;
    Some(Scanned {
        key,
        size: size_on_disk(facts.len()),
        used: facts.modified().ok()?,
        start: bytes,
    })
}

/// What a process that died has left; one that lives needs a moment at most.
fn remove_leftover(path: &Path) {
    let written = fs::symlink_metadata(path).and_then(|facts| facts.modified());
    if written.is_ok_and(|at| is_apart(at, LEFTOVER)) {
        // The next scan tries again.
        let _ = fs::remove_file(path);
    }
}

/// Whether a moment is not of now: past, or to come where the clock has been set back.
fn is_apart(time: SystemTime, by: Duration) -> bool {
    let now = SystemTime::now();
    let apart = now.duration_since(time).unwrap_or_else(|e| e.duration());
    apart > by
}

const TEMPORARY: &str = "tmp";
const TOUCH_EVERY: Duration = Duration::from_secs(600);
const LEFTOVER: Duration = Duration::from_secs(600);
const BLOCK: u64 = 4096;
const NAME: u64 = 256;
