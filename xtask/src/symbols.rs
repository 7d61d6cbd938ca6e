//! The public symbols: the functions that the headers declare, which must be those that the C face exports.

use crate::face;
use crate::generated::File;
use crate::Result;
use std::collections::BTreeMap;
use std::path::Path;

/// What exported names begin with. All other names are the programs' own.
const PREFIXES: &[&str] = &["conn_", "dns_", "evloop_", "netconn_", "pconn_"];

/// The list for `objcopy` and `nm`, and the version script for the linker.
pub fn all(root: &Path) -> Result<Vec<File>> {
    let declared = declared(&root.join("include"))?;
    let exported = exported(&root.join("src"))?;
    let mut wrong = Vec::new();
    for (name, header) in &declared {
        if !exported.contains_key(name) {
            wrong.push(format!("{name} is declared in {header} and not exported"));
        }
    }
    for (name, source) in &exported {
        if !declared.contains_key(name) {
            wrong.push(format!(
                "{name} is exported by {source} and in no header; `make headers` first"
            ));
        }
        if !PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            wrong.push(format!(
                "{name} ({source}) takes a name that is the programs'"
            ));
        }
        if !source.starts_with("capi/") {
            wrong.push(format!("{name} is exported by {source}, outside src/capi"));
        }
    }
    if !wrong.is_empty() {
        return Err(wrong.join("\n       ").into());
    }
    let names: Vec<&str> = declared.keys().map(String::as_str).collect();
    Ok(vec![
        File {
            path: "symbols/public.txt".into(),
            text: names.join("\n") + "\n",
        },
        File {
            path: "symbols/netconn.map".into(),
            text: format!(
                "{{\nglobal:\n    {};\nlocal:\n    *;\n}};\n",
                names.join(";\n    ")
            ),
        },
    ])
}

/// Function to header.
fn declared(directory: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "h") {
            let header = relative(&path, directory);
            for name in prototypes(&std::fs::read_to_string(&path)?) {
                if let Some(other) = found.insert(name.clone(), header.clone()) {
                    return Err(format!("{name} is declared in {other} and in {header}").into());
                }
            }
        }
    }
    Ok(found)
}

/// Function to source file.
fn exported(directory: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(current) = pending.pop() {
        for entry in std::fs::read_dir(&current)? {
            let path = entry?.path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = relative(&path, directory);
                for name in face::read_all(&[path])?.functions {
                    found.insert(name, source.clone());
                }
            }
        }
    }
    Ok(found)
}

fn relative(path: &Path, directory: &Path) -> String {
    let path = path.strip_prefix(directory).unwrap_or(path);
    path.to_string_lossy().into_owned()
}

/// The functions that a header declares, in its order: a small reader of our own headers, not of all C.
fn prototypes(header: &str) -> Vec<String> {
    let mut names = Vec::new();
    for declaration in top_level_declarations(header) {
        let first = declaration.split_whitespace().next();
        if matches!(first, None | Some("typedef")) {
            continue;
        }
        if let Some((before, _)) = declaration.split_once('(') {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let start = before.trim_end().rfind(|c: char| !is_name(c));
            let name = &before.trim_end()[start.map_or(0, |at| at + 1)..];
            names.push(name.to_owned());
        }
    }
    names
}

/// Splits at each `;` outside of braces, those of `extern "C"` not counted.
fn top_level_declarations(header: &str) -> Vec<String> {
    let text = without_comments(header);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect();
    let text = lines.join("\n").replace("extern \"C\" {", "");
    let mut declarations = vec![String::new()];
    let mut depth = 0u32;
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => declarations.push(String::new()),
            c if depth == 0 => {
                if let Some(declaration) = declarations.last_mut() {
                    declaration.push(c);
                }
            }
            _ => {}
        }
    }
    declarations
}

fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("/*") {
        out.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_c_reads_it() {
        let header = "
            #ifndef H
            #define EVLOOP_READ 1
            /** evloop_comment(int); */
            struct conn_options { size_t size; int (*on_socket)(int fd, void *arg); };
            enum conn_state { CONN_INIT, CONN_CLOSED };
            typedef void (*ev_io_cb_t)(int fd, int revents, void *arg);
            #ifdef __cplusplus
            extern \"C\" {
            #endif
            const char *netconn_version(void);
            void netconn_set_log(void (*cb)(int level, const char *message, void *arg),
                                 void *arg);
            enum conn_state conn_get_state (struct net_conn *c);
            #ifdef __cplusplus
            }
            #endif
            #endif
        ";
        assert_eq!(
            prototypes(header),
            ["netconn_version", "netconn_set_log", "conn_get_state"]
        );
    }
}
