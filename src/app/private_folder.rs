//! Folders that only this service sees: systemd's private `/tmp` (`PrivateTmp=`).

use std::fs;
use std::path::{Path, PathBuf};

/// Part of the name of the folder that systemd mounts as the private `/tmp` of a service.
const PRIVATE: &str = "/systemd-private-";

/// Returns a sentence that says why a file at `path` is out of reach for everyone else, if it is in
/// a private folder of a systemd service.
pub fn private_folder(path: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    // The file may not exist yet.
    let path = std::path::absolute(path).ok()?;
    let path = path.parent().and_then(|folder| folder.canonicalize().ok()).unwrap_or(path);
    let folder = private_mount(&mounts, &path)?;
    Some(format!(
        "{} is in the private {} of a systemd service (PrivateTmp=): no other process sees its files, \
         and systemd removes them when the service ends; use another folder, such as \
         /var/lib/sentinel",
        path.display(),
        folder.display()
    ))
}

/// Returns the mount point below which `path` is, if systemd has mounted it for one service.
/// `mounts` has the lines of `/proc/self/mountinfo` (proc(5)): the fourth word is the mounted
/// folder, and the fifth one the mount point.
fn private_mount(mounts: &str, path: &Path) -> Option<PathBuf> {
    let points = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(3);
        let (root, point) = (words.next()?, Path::new(words.next()?));
        path.starts_with(point).then_some((root, point))
    });
    // Of nested mounts, the innermost one counts; of several at one point, the last one.
    let (root, point) = points.max_by_key(|(_, point)| point.components().count())?;
    root.contains(PRIVATE).then(|| point.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_of_one_service_are_private() {
        let mounts = "\
            22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n\
            90 22 254:1 /tmp/systemd-private-7f-x.service-a/tmp /tmp rw - ext4 /dev/vda1 rw\n\
            91 90 0:44 / /tmp/shared rw - tmpfs tmpfs rw\n";
        let of = |path: &str| private_mount(mounts, Path::new(path));
        assert_eq!(of("/tmp"), Some(PathBuf::from("/tmp")));
        assert_eq!(of("/tmp/a/b.db"), Some(PathBuf::from("/tmp")));
        assert_eq!(of("/tmp/shared/b.db"), None);
        assert_eq!(of("/tmpfoo/b.db"), None);
        assert_eq!(of("/var/lib/sentinel/b.db"), None);
    }
}
