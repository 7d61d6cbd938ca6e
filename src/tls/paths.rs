//! Which paths the Socket family takes. Knows nothing of what the files are for.

use super::pem::Pem;
use super::types::{invalid, Error};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The longest path.
const LONGEST: usize = 4096;

/// A path without tricks: of 1 to 4096 bytes, no control characters, no `..` anywhere, and its last component is no
/// symbolic link.
pub(super) fn checked(path: &Path) -> Result<&Path, Error> {
    let bytes = path.as_os_str().as_bytes();
    let bad = |why: &str| {
        Err(invalid(format!(
            "TLS: the path \"{}\" {why}",
            bytes[..bytes.len().min(256)].escape_ascii()
        )))
    };
    if bytes.is_empty() {
        return Err(invalid("TLS: the path is empty"));
    }
    if bytes.len() > LONGEST {
        return bad("is longer than 4096 bytes");
    }
    if bytes.iter().any(u8::is_ascii_control) {
        return bad("has a control character in it");
    }
    if bytes.windows(2).any(|two| two == b"..") {
        return bad("has \"..\" in it");
    }
    // With a slash behind it the system would look at what a link points to.
    let end = bytes.iter().rposition(|byte| *byte != b'/');
    let bare = Path::new(OsStr::from_bytes(&bytes[..=end.unwrap_or(0)]));
    if bare
        .symlink_metadata()
        .is_ok_and(|found| found.is_symlink())
    {
        return bad("is a symbolic link");
    }
    Ok(path)
}

/// Reads a PEM file at such a path.
pub(super) fn pem(path: &Path) -> Result<Pem, Error> {
    checked(path).and_then(Pem::file_itself)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(path: &str) -> String {
        checked(Path::new(path))
            .err()
            .map_or(String::new(), |error| error.text)
    }

    #[test]
    fn paths_with_tricks_are_refused() {
        for path in [
            "",
            "a/../b",
            "a..b",
            "..",
            "a\nb",
            "a\x7f",
            &"x".repeat(4097),
        ] {
            assert_ne!(complaint(path), "", "{path:?}");
        }
        for path in ["a", "/", "a.b/c", "/nonexistent/x", "ü", &"x".repeat(4096)] {
            assert_eq!(complaint(path), "", "{path:?}");
        }
    }

    #[test]
    fn a_link_at_the_end_is_refused_and_one_on_the_way_is_not() {
        let directory = std::env::temp_dir().join(format!("netconn-paths-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        let (real, link) = (directory.join("real"), directory.join("link"));
        std::fs::create_dir_all(&real).unwrap();
        std::fs::write(real.join("file"), "x").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let text = |path: &Path| complaint(path.to_str().unwrap());
        assert!(text(&link).ends_with("is a symbolic link"));
        assert!(text(&link.join("")).ends_with("is a symbolic link"));
        assert_eq!(text(&link.join("file")), "");
        // Between the look and the opening, too.
        assert!(Pem::file_itself(&link).is_err());
        assert!(Pem::file_itself(&link.join("file")).is_ok());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
