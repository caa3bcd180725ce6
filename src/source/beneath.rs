//! Opening a file below a folder without being led elsewhere. Rule: `spec/sources.md` section 4.
//!
//! Owns the policy about symbolic links. Where links are not followed blindly, a file is opened folder by folder, each
//! by its parent's descriptor and none of them through a link, so that swapping one in meanwhile is of no use.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path};

use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::config::source::FollowSymlinks;

/// Opens the file `name`, which is relative and without `..`, below `root` for reading. Never waits for a FIFO.
///
/// # Errors
///
/// As `open` has them; a link that the policy forbids is one of them.
pub(super) fn open(root: &Path, name: &str, policy: FollowSymlinks) -> io::Result<File> {
    match policy {
        FollowSymlinks::All => Ok(openat(CWD, root.join(name), FILE, Mode::empty())?.into()),
        FollowSymlinks::None => without_links(root, Path::new(name)),
        FollowSymlinks::Inside => {
            let root = fs::canonicalize(root)?;
            let target = fs::canonicalize(root.join(name))?;
            match target.strip_prefix(&root) {
                Ok(inside) => without_links(&root, inside),
                Err(_) => Err(io::ErrorKind::PermissionDenied.into()),
            }
        }
    }
}

/// The root itself may be a link: the operator has named it.
fn without_links(root: &Path, name: &Path) -> io::Result<File> {
    let mut folder = openat(CWD, root, FOLDER, Mode::empty())?;
    let names: Vec<&std::ffi::OsStr> = name
        .components()
        .map(|component| match component {
            Component::Normal(name) => Ok(name),
            _ => Err(io::Error::from(io::ErrorKind::InvalidInput)),
        })
        .collect::<io::Result<_>>()?;
    let Some((last, parents)) = names.split_last() else {
        return Err(io::ErrorKind::NotFound.into());
    };
    for parent in parents {
        folder = openat(&folder, *parent, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
    }
    let file = openat(&folder, *last, FILE | OFlags::NOFOLLOW, Mode::empty())?;
    Ok(file.into())
}

const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);
#[cfg(target_os = "linux")]
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);
