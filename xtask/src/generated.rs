//! Files that are made and committed: written, or compared with what is there. Knows nothing of what is in them.

use crate::Result;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// A file as it should be.
pub struct File {
    /// Where, from the top of the source tree.
    pub path: String,
    /// All of it.
    pub text: String,
}

/// Writes those that differ from what is there.
pub fn write(root: &Path, files: &[File]) -> Result<()> {
    for file in files {
        let path = root.join(&file.path);
        if std::fs::read_to_string(&path).ok().as_ref() == Some(&file.text) {
            continue;
        }
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        std::fs::write(&path, &file.text).map_err(|e| format!("{}: {e}", file.path))?;
        println!("made {}", file.path);
    }
    Ok(())
}

/// Fails when one differs from what is there, after showing how.
pub fn check(root: &Path, files: &[File]) -> Result<()> {
    let mut drifted = Vec::new();
    for file in files {
        let committed = std::fs::read_to_string(root.join(&file.path)).unwrap_or_default();
        if committed != file.text {
            show_difference(root, file)?;
            drifted.push(file.path.as_str());
        }
    }
    if drifted.is_empty() {
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        println!("no drift: {}", paths.join(", "));
        return Ok(());
    }
    Err(format!("run `make headers`: drifted: {}", drifted.join(", ")).into())
}

fn show_difference(root: &Path, file: &File) -> Result<()> {
    let committed = root.join(&file.path);
    let old = if committed.exists() {
        committed.as_path()
    } else {
        Path::new("/dev/null")
    };
    let mut diff = Command::new("diff")
        .args(["-u", "--label", "committed", "--label", "as made"])
        .args([old, Path::new("-")])
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|e| format!("diff: {e}"))?;
    if let Some(mut input) = diff.stdin.take() {
        input.write_all(file.text.as_bytes())?;
    }
    diff.wait()?;
    Ok(())
}
