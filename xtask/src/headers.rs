//! The public headers in `include/` itself: which there are, and one run of cbindgen for each. (Those in its folders:
//! `family.rs`.)
//!
//! A doc comment in the source is the comment in the header, and the order of the source is the order of the header.
//! What cbindgen cannot know is in [`HEADERS`].

use crate::face::{self, Source};
use crate::generated::File;
use crate::polish::{polish, LINE_LENGTH};
use crate::Result;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// A header and what cbindgen cannot know of it.
struct Header {
    /// The file in `include/`, without its `.h`.
    name: &'static str,
    /// The files in `src/capi/`.
    sources: &'static [&'static str],
    /// The first comment: what it is for, and which thread may call.
    about: &'static str,
    /// What it includes: `<...>` of the system, the rest of ours.
    includes: &'static [&'static str],
    /// C text after the includes.
    preamble: fn() -> String,
}

const HEADERS: &[Header] = &[
    Header {
        name: "netconn",
        sources: &["netconn.rs"],
        about: "\
netconn.h - the library itself: its version, its log, its error texts, its end.

Every function here may be called from any thread.",
        includes: &[],
        preamble: version_macros,
    },
    Header {
        name: "evloop",
        sources: &["evloop.rs"],
        about: "\
evloop.h - an event loop: descriptors, timers, signals, work from other threads.

A loop belongs to the first thread that runs it. From other threads only evloop_post, evloop_wakeup and evloop_break
may be called; a signal handler may call evloop_wakeup. A callback may do anything with any object of the loop, its own
too, but must not throw or longjmp through the library.",
        includes: &[],
        preamble: nothing,
    },
    Header {
        name: "dns_cares",
        sources: &["dns_cares.rs"],
        about: "\
dns_cares.h - names to addresses without blocking.

Call on the thread of the loop that the answer is for; dns_shutdown, dns_set_cache_ttl and dns_strerror on any
thread.",
        includes: &["<netdb.h>", "evloop.h"],
        // Strict C99 hides the struct in <netdb.h>; a pointer to it must still name the same type.
        preamble: || "struct addrinfo;".into(),
    },
    Header {
        name: "net_conn",
        sources: &["net_conn_options.rs", "net_conn.rs", "net_conn_io.rs", "net_conn_life.rs", "net_conn_info.rs"],
        about: "\
net_conn.h - one non-blocking connection, TCP or Unix, plain or TLS, on an event loop.

A connection belongs to its loop's thread: every function here is called there, unless it says otherwise, and may be called from
every callback. Exactly one of on_ready and on_error tells how establishing ended, from the loop, never from inside the
call that began it. A callback may close any connection, its own too, and must not throw or longjmp through the library.",
        includes: &[
            "<stdbool.h>",
            "<stddef.h>",
            "<stdint.h>",
            "<sys/socket.h>",
            "<sys/types.h>",
            "<sys/uio.h>",
            "evloop.h",
            "netconn_types.h",
        ],
        // The callback's type names the struct that holds callbacks.
        preamble: || "struct net_conn;".into(),
    },
    Header {
        name: "pconn",
        sources: &["pconn.rs"],
        about: "\
pconn.h - a pool: connections that are kept to be used again.

A pool belongs to its loop's thread: every function here is called there, and may be called from every callback.",
        includes: &["<stdbool.h>", "<stddef.h>", "net_conn.h"],
        preamble: nothing,
    },
    Header {
        name: "netconn_tls",
        sources: &["netconn_tls.rs", "netconn_tls_sessions.rs", "netconn_tls_secrets.rs"],
        about: "\
netconn_tls.h - TLS contexts: whom to trust, what to show, which protocols.

Every function here may be called from any thread. A context is made, configured, and then shared by any number of
connections and threads; a change applies to connections made after it.

Each function returns 0, or -1 with errno; a constructor NULL with errno. netconn_tls_error() then says what was wrong.",
        includes: &[
            "<stdbool.h>",
            "<stddef.h>",
            "<stdint.h>",
            "<sys/types.h>",
            "netconn_types.h",
        ],
        preamble: nothing,
    },
    Header {
        name: "netconn_types",
        sources: &["tls_types.rs"],
        about: "netconn_types.h - types that several headers of netconn share. Include those, not this.",
        includes: &["<stddef.h>", "<stdint.h>"],
        preamble: tls_handles,
    },
];

/// Structs of system headers, which the sources spell without their tag.
pub const SYSTEM_STRUCTS: &[&str] = &[
    "addrinfo", "iovec", "msghdr", "sockaddr", "timespec", "timeval",
];

/// All headers as they should be.
pub fn all(root: &Path) -> Result<Vec<File>> {
    let mut sources = Vec::new();
    for header in HEADERS {
        sources.push(face::read_all(&header.paths(root))?);
    }
    let mut files = Vec::new();
    for (header, source) in HEADERS.iter().zip(&sources) {
        files.push(File {
            path: format!("include/{}.h", header.name),
            text: header.text(root, source, &sources)?,
        });
    }
    Ok(files)
}

impl Header {
    fn paths(&self, root: &Path) -> Vec<PathBuf> {
        let path = |name| root.join("src/capi").join(name);
        self.sources.iter().map(path).collect()
    }

    fn text(&self, root: &Path, source: &Source, all: &[Source]) -> Result<String> {
        let mut config = cbindgen::Config {
            language: cbindgen::Language::C,
            cpp_compat: true,
            style: cbindgen::Style::Tag,
            tab_width: 4,
            line_length: LINE_LENGTH,
            documentation_style: cbindgen::DocumentationStyle::Doxy,
            usize_is_size_t: true,
            include_guard: Some(guard(self.name)),
            no_includes: true,
            after_includes: Some(self.preamble(source)),
            ..Default::default()
        };
        name_types(&mut config.export, source, all);
        let mut builder = cbindgen::Builder::new().with_config(config);
        for path in self.paths(root) {
            builder = builder.with_src(path);
        }
        let bindings = builder
            .generate()
            .map_err(|e| format!("{:?}: {e}", self.sources))?;
        let mut text = Vec::new();
        bindings.write(&mut text);
        let text = String::from_utf8(text)?;
        let about = comment(self.about.lines());
        Ok(polish(&format!("{about}{text}")))
    }

    fn preamble(&self, source: &Source) -> String {
        let mut parts = Vec::new();
        let mut includes = String::new();
        for include in self.includes {
            let quote = if include.starts_with('<') { "" } else { "\"" };
            let _ = writeln!(includes, "#include {quote}{include}{quote}");
        }
        parts.push(includes);
        parts.push((self.preamble)());
        for opaque in source.opaque.iter().filter(|o| !by_hand(&o.name)) {
            let lines = opaque.comment.iter().map(String::as_str);
            parts.push(format!("{}struct {};", comment(lines), opaque.name));
        }
        let parts: Vec<&str> = parts.iter().map(|p| p.trim_end()).collect();
        let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
        parts.join("\n\n")
    }
}

/// Never a guard that a program of its own is likely to have. `name`: the path in `include/`, without its `.h`.
pub fn guard(name: &str) -> String {
    let name = name.strip_prefix("netconn_").unwrap_or(name);
    match name {
        "netconn" => "NETCONN_H".into(),
        name => format!("NETCONN_{}_H", name.replace('/', "_").to_uppercase()),
    }
}

/// Tells cbindgen what to print, and under which names what other files declare.
fn name_types(export: &mut cbindgen::ExportConfig, source: &Source, all: &[Source]) {
    let is_enum = |name: &str| all.iter().any(|s| s.enums.iter().any(|e| e == name));
    let own = source.enums.iter().chain(&source.structs);
    export.include.extend(own.cloned());
    for name in SYSTEM_STRUCTS {
        export
            .rename
            .insert((*name).into(), format!("struct {name}"));
    }
    export.rename.insert("c_bool".into(), "bool".into());
    export.exclude.push("c_bool".into());
    for other in all {
        let foreign = !std::ptr::eq(other, source);
        for opaque in other.opaque.iter().filter(|o| !by_hand(&o.name)) {
            // Declared in the preamble of its own header: cbindgen would print the private member.
            let name = &opaque.name;
            export.rename.insert(name.clone(), format!("struct {name}"));
            export.exclude.push(name.clone());
        }
        for name in other.structs.iter().chain(&other.enums).filter(|_| foreign) {
            let tag = if is_enum(name) { "enum" } else { "struct" };
            export.rename.insert(name.clone(), format!("{tag} {name}"));
        }
        for alias in &other.aliases {
            // An enum that comes from C is an integer until it was checked: `x_t` stands for `enum x`.
            match alias.strip_suffix("_t").filter(|name| is_enum(name)) {
                Some(name) => {
                    export.rename.insert(alias.clone(), format!("enum {name}"));
                    export.exclude.push(alias.clone());
                }
                None if !foreign && !by_hand(alias) => {
                    export.include.push(alias.clone());
                }
                None => {}
            }
        }
    }
    let names = WRITTEN_BY_HAND.iter().map(|name| (*name).to_owned());
    export.exclude.extend(names);
}

fn comment<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let lines: Vec<&str> = lines.collect();
    if lines.is_empty() {
        return String::new();
    }
    let mut text = String::from("/**\n");
    for line in lines {
        let _ = writeln!(text, "{}", format!(" * {line}").trim_end());
    }
    text.push_str(" */\n");
    text
}

fn nothing() -> String {
    String::new()
}

/// Typedefs that [`tls_handles`] writes.
const WRITTEN_BY_HAND: &[&str] = &["SSL", "SocketTLSContext_T"];

fn by_hand(name: &str) -> bool {
    WRITTEN_BY_HAND.contains(&name)
}

fn tls_handles() -> String {
    "\
/** OpenSSL's connection object. Declared here so that no OpenSSL header is needed. */
#ifndef OPENSSL_TYPES_H
typedef struct ssl_st SSL;
#endif

/** A TLS context; see netconn_tls.h. */
#ifdef __cplusplus
/* In C++ a typedef may not have the name of a struct that it does not stand for. */
typedef struct SocketTLSContext *SocketTLSContext_T;
#else
typedef struct SocketTLSContext_T *SocketTLSContext_T;
#endif"
        .into()
}

fn version_macros() -> String {
    // One version for the whole workspace.
    let part = |text: &str| text.parse::<u32>().unwrap_or(0);
    let (major, minor, patch) = (
        part(env!("CARGO_PKG_VERSION_MAJOR")),
        part(env!("CARGO_PKG_VERSION_MINOR")),
        part(env!("CARGO_PKG_VERSION_PATCH")),
    );
    format!(
        "\
/** The version of these headers; netconn_version() tells that of the library. */
#define NETCONN_VERSION \"{}\"
#define NETCONN_VERSION_MAJOR {major}
#define NETCONN_VERSION_MINOR {minor}
#define NETCONN_VERSION_PATCH {patch}
/** 0xMMmmpp, to compare. */
#define NETCONN_VERSION_NUM 0x{major:02x}{minor:02x}{patch:02x}",
        env!("CARGO_PKG_VERSION"),
    )
}
