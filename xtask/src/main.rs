//! netconn's workshop. Makes what is committed but not written by hand: the public headers and the list of public
//! symbols, both from the sources of the C face; and the certificates of a test run.
//!
//! `make` alone never runs it: a user's build needs neither this program nor cbindgen.

mod face;
mod family;
mod generated;
mod headers;
mod polish;
mod symbols;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Whatever goes wrong here is told to a person and ends the program.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "\
usage: cargo run -p xtask -- COMMAND

  headers [--check]   make include/ (but adapters/) from src/capi/*.rs and src/capi/c/
  symbols [--check]   make symbols/public.txt and symbols/netconn.map from include/
  certs DIR           make the test certificates in DIR

--check writes nothing, and fails with the difference when what is committed is not what would be made.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["headers"] => all_headers().and_then(|files| generated::write(&root(), &files)),
        ["headers", "--check"] => all_headers().and_then(|files| generated::check(&root(), &files)),
        ["symbols"] => symbols::all(&root()).and_then(|files| generated::write(&root(), &files)),
        ["symbols", "--check"] => {
            symbols::all(&root()).and_then(|files| generated::check(&root(), &files))
        }
        ["certs", directory] => testcerts::write_all(Path::new(directory)).map_err(Into::into),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn all_headers() -> Result<Vec<generated::File>> {
    let mut files = headers::all(&root())?;
    files.extend(family::all(&root())?);
    Ok(files)
}

/// The top of the source tree: this crate's parent.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
