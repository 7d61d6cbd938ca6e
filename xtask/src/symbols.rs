//! The public symbols: the functions and objects that the headers declare, which must be those that the C face and the
//! shim export.

use crate::face;
use crate::generated::File;
use crate::Result;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What exported names begin with. All other names are the programs' own.
const PREFIXES: &[&str] = &[
    "conn_",
    "dns_",
    "evloop_",
    "netconn_",
    "pconn_",
    // The Socket family.
    "Arena_",
    "Assert_Failed",
    "Connection_",
    "Except_",
    "Socket",
    "socket_",
    "socketcommon_",
    "tls_error_buf",
];
/// What the shim's sources share among themselves and with Rust.
const PRIVATE: &str = "shim_";

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
        if !source.starts_with("capi/") && !source.starts_with("shim/") {
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

/// Name to header. The adapters are inline code of the programs'.
fn declared(directory: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for path in files(directory)? {
        let header = relative(&path, directory);
        if !header.ends_with(".h") || header.starts_with("adapters/") {
            continue;
        }
        for name in declarations(&std::fs::read_to_string(&path)?) {
            match found.insert(name.clone(), header.clone()) {
                Some(other) if other != header => {
                    return Err(format!("{name} is declared in {other} and in {header}").into());
                }
                _ => {}
            }
        }
    }
    Ok(found)
}

/// Name to source file.
fn exported(directory: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for path in files(directory)? {
        let source = relative(&path, directory);
        let names = if source.ends_with(".rs") {
            let face = face::read_all(&[path])?;
            face.functions.into_iter().chain(face.statics).collect()
        } else if source.starts_with("shim/") && source.ends_with(".c") {
            let mut names = definitions(&std::fs::read_to_string(&path)?);
            names.retain(|name| !name.starts_with(PRIVATE));
            names
        } else {
            Vec::new()
        };
        for name in names {
            if let Some(other) = found.insert(name.clone(), source.clone()) {
                return Err(format!("{name} is exported by {other} and by {source}").into());
            }
        }
    }
    Ok(found)
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(current) = pending.pop() {
        for entry in std::fs::read_dir(&current)? {
            let path = entry?.path();
            if path.is_dir() {
                pending.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn relative(path: &Path, directory: &Path) -> String {
    let path = path.strip_prefix(directory).unwrap_or(path);
    path.to_string_lossy().into_owned()
}

/// What a header declares and the library must have, in its order: a small reader of our own C, not of all C.
fn declarations(header: &str) -> Vec<String> {
    let mut names = Vec::new();
    for item in top_level(header) {
        let first = item.text.split_whitespace().next();
        match first {
            None | Some("typedef" | "static") => {}
            Some("extern") if !item.text.contains('(') => names.push(object_name(&item.text)),
            _ if item.text.contains('(') => names.push(function_name(&item.text)),
            _ => {}
        }
    }
    names
}

/// What a C source defines for others, in its order.
fn definitions(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    for item in top_level(source) {
        let first = item.text.split_whitespace().next();
        match first {
            None | Some("typedef" | "static" | "extern" | "struct" | "enum" | "union") => {}
            _ if item.body => names.push(function_name(&item.text)),
            _ if item.text.contains('(') => {}
            _ => names.push(object_name(&item.text)),
        }
    }
    names
}

/// `int f(int a)` is f.
fn function_name(declaration: &str) -> String {
    let before = declaration.split('(').next().unwrap_or_default();
    last_word(before)
}

/// `extern __thread char a[16]` and `int a = 1` are a.
fn object_name(declaration: &str) -> String {
    let before = declaration.split(['[', '=']).next().unwrap_or_default();
    last_word(before)
}

fn last_word(text: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let text = text.trim_end();
    let start = text.rfind(|c: char| !is_name(c));
    text[start.map_or(0, |at| at + 1)..].to_owned()
}

/// What stands outside of braces, up to a `;` or to the end of a function's body.
struct Item {
    text: String,
    body: bool,
}

/// The braces of `extern "C"` are not counted.
fn top_level(text: &str) -> Vec<Item> {
    let text = without_comments(text).replace("\\\n", " ");
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect();
    let text = lines.join("\n").replace("extern \"C\" {", "");
    let (mut items, mut current, mut depth) = (Vec::new(), String::new(), 0u32);
    for c in text.chars() {
        let body = c == '}' && depth == 1 && current.trim_end().ends_with(')');
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            c if depth == 0 && c != ';' => current.push(c),
            _ => {}
        }
        if body || (c == ';' && depth == 0) {
            let text = std::mem::take(&mut current);
            items.push(Item { text, body });
        }
    }
    items
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
            #define TRY do { \\
                int f(void); \\
                } while (0)
            extern __thread char socket_error_buf[1024];
            extern const Except_T Socket_Failed;
            static inline int f(int a) { return g(a); }
            static inline void h(void) { if (1) { g(1); } }
            EXCEPT_NORETURN void Except_raise(const Except_T *e);
            #ifdef __cplusplus
            }
            #endif
            #endif
        ";
        assert_eq!(
            declarations(header),
            [
                "netconn_version",
                "netconn_set_log",
                "conn_get_state",
                "socket_error_buf",
                "Socket_Failed",
                "Except_raise"
            ]
        );
    }

    #[test]
    fn a_source_is_read_for_what_it_gives_others() {
        let source = "
            #include \"shim.h\"
            static int mine(void) { return 1; }
            static int also_mine;
            struct s { int a; };
            int declared(void);
            __thread Except_Frame *Except_stack;
            __thread char socket_error_buf[1024];
            const Except_T Assert_Failed = {&Assert_Failed, \"x\"};
            void Except_raise(const Except_T *e,
                              int line) {
                if (e) { abort(); }
            }
        ";
        assert_eq!(
            definitions(source),
            [
                "Except_stack",
                "socket_error_buf",
                "Assert_Failed",
                "Except_raise"
            ]
        );
    }
}
