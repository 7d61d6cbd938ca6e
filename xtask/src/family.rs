//! The headers of the Socket family, below `include/`'s folders: a template each, `src/capi/c/PATH.h.in` for
//! `include/PATH.h`, with what only C can express (macros, inline functions, types that several headers share) and lines
//! that say what is made here.
//!
//! **To add a header:** write its template; there is no list. Its first comment says what it is for. These lines stand
//! alone:
//!
//! - `@from FILE.rs@`: everything that `src/capi/FILE.rs` declares, in its order, with its doc comments.
//! - `@from FILE.rs: NAME NAME...@`: of that file these alone (it may go on over lines, until the `@`).
//! - `@handle NAME@`: the typedef of a handle, a pointer to a struct that nobody sees.
//!
//! Structs and enums get a typedef of their own name. An alias `X_t` of an integer stands for the enum `X`: what comes from
//! C is an integer until it was checked.

use crate::face::{self, Source};
use crate::generated::File;
use crate::headers::{guard, SYSTEM_STRUCTS};
use crate::polish::{polish, LINE_LENGTH};
use crate::Result;
use std::path::Path;

/// What follows a block for C++ that ends where the next one begins.
const CLOSED_AND_OPENED: &str =
    "\n#ifdef __cplusplus\n}\n#endif\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n";

const TEMPLATES: &str = "src/capi/c";

/// All headers of the family as they should be.
pub fn all(root: &Path) -> Result<Vec<File>> {
    let faces = Faces::read(root)?;
    let mut names = Vec::new();
    find(&root.join(TEMPLATES), "", &mut names)?;
    names.sort();
    let mut files = Vec::new();
    for name in &names {
        let template = std::fs::read_to_string(root.join(TEMPLATES).join(format!("{name}.h.in")))?;
        let told = |e| format!("{TEMPLATES}/{name}.h.in: {e}");
        files.push(File {
            path: format!("include/{name}.h"),
            text: header(name, &template, &faces, root).map_err(told)?,
        });
    }
    Ok(files)
}

/// The templates below a directory, without their `.h.in`.
fn find(directory: &Path, inside: &str, names: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = format!("{inside}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            find(&entry.path(), &format!("{name}/"), names)?;
        } else if let Some(name) = name.strip_suffix(".h.in") {
            names.push(name.to_owned());
        }
    }
    Ok(())
}

/// What the sources of the C face declare, all of them: what a name stands for must be known in every header.
struct Faces {
    enums: Vec<String>,
    aliases: Vec<String>,
}

impl Faces {
    fn read(root: &Path) -> Result<Faces> {
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(root.join("src/capi"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                paths.push(path);
            }
        }
        let Source { enums, aliases, .. } = face::read_all(&paths)?;
        Ok(Faces { enums, aliases })
    }

    /// The enum that an alias stands for.
    fn enum_of<'a>(&self, alias: &'a str) -> Option<&'a str> {
        alias
            .strip_suffix("_t")
            .filter(|name| self.enums.iter().any(|e| e == name))
    }
}

fn header(name: &str, template: &str, faces: &Faces, root: &Path) -> Result<String> {
    let Some((about, rest)) = template.split_once("*/\n") else {
        return Err("does not begin with a comment".into());
    };
    let guard = guard(name);
    let mut text = format!("{about}*/\n\n#ifndef {guard}\n#define {guard}\n");
    let mut lines = rest.trim_end().lines();
    while let Some(line) = lines.next() {
        let Some(directive) = line.strip_prefix('@') else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let mut directive = directive.to_owned();
        while !directive.ends_with('@') {
            let more = lines.next().ok_or("a line with @ has no end")?;
            directive.push(' ');
            directive.push_str(more.trim());
        }
        let words = directive.trim_end_matches('@');
        let made = match words.split_once(' ') {
            Some(("handle", name)) => handle(name),
            Some(("from", what)) => from(what, faces, root)?,
            _ => return Err(format!("what is @{directive}?").into()),
        };
        if made.is_empty() {
            // Nothing, and no gap either.
            while text.ends_with("\n\n") {
                text.pop();
            }
        }
        text.push_str(&made);
    }
    text.push_str(&format!("\n#endif /* {guard} */\n"));
    Ok(text.replace(CLOSED_AND_OPENED, "\n"))
}

/// In C++ a typedef may not have the name of a struct that it does not stand for.
fn handle(name: &str) -> String {
    let tag = if name == "Connection_T" {
        "Connection"
    } else {
        name
    };
    let other = format!("{tag}_");
    format!(
        "#ifdef __cplusplus\ntypedef struct {other} *{name};\n#else\ntypedef struct {tag} *{name};\n#endif\n"
    )
}

/// What cbindgen makes of a source, or of the named items in it.
fn from(what: &str, faces: &Faces, root: &Path) -> Result<String> {
    let (file, only) = match what.split_once(':') {
        Some((file, names)) => (file, Some(names.split_whitespace().collect::<Vec<_>>())),
        None => (what, None),
    };
    let path = root.join("src/capi").join(file);
    let source = face::read_all(std::slice::from_ref(&path))?;
    let items = || {
        let kinds = [&source.functions, &source.statics, &source.enums];
        let others = [&source.structs, &source.aliases, &source.constants];
        kinds.into_iter().chain(others).flatten()
    };
    for name in only.iter().flatten() {
        if !items().any(|item| item == name) {
            return Err(format!("src/capi/{file} has no {name}").into());
        }
    }
    let wanted = |name: &String| {
        only.as_ref()
            .is_none_or(|only| only.contains(&name.as_str()))
    };
    let mut config = cbindgen::Config {
        language: cbindgen::Language::C,
        cpp_compat: true,
        style: cbindgen::Style::Both,
        tab_width: 4,
        line_length: LINE_LENGTH,
        documentation_style: cbindgen::DocumentationStyle::Doxy,
        usize_is_size_t: true,
        no_includes: true,
        ..Default::default()
    };
    let export = &mut config.export;
    for name in SYSTEM_STRUCTS {
        let tagged = format!("struct {name}");
        export.rename.insert((*name).into(), tagged);
    }
    export.rename.insert("c_bool".into(), "bool".into());
    export.exclude.push("c_bool".into());
    for alias in &faces.aliases {
        if let Some(name) = faces.enum_of(alias) {
            export.rename.insert(alias.clone(), name.to_owned());
            export.exclude.push(alias.clone());
        }
    }
    for item in items().filter(|item| !wanted(item)).chain(&source.foreign) {
        export.exclude.push(item.clone());
    }
    let types = [&source.enums, &source.structs, &source.aliases];
    for name in types.into_iter().flatten().filter(|name| wanted(name)) {
        // Handles are written once, by @handle@.
        let handle = name.ends_with("_T") && source.aliases.contains(name);
        if handle || faces.enum_of(name).is_some() {
            export.exclude.push(name.clone());
        } else {
            export.include.push(name.clone());
        }
    }
    let bindings = cbindgen::Builder::new()
        .with_config(config)
        .with_src(&path)
        .generate()
        .map_err(|e| format!("{file}: {e}"))?;
    let mut text = Vec::new();
    bindings.write(&mut text);
    let text = without_tags(&String::from_utf8(text)?, &source);
    let text = polish(&text);
    Ok(format!("{}\n", text.trim_matches('\n')))
}

/// Where a typedef is there, its tag is not needed: `X *` for `struct X *`, but in the struct itself.
fn without_tags(text: &str, source: &Source) -> String {
    let mut out = String::new();
    let mut inside = None;
    for line in text.lines() {
        let begun = line.strip_prefix("typedef struct ");
        let begun = begun.or_else(|| line.strip_prefix("typedef enum "));
        if let Some(name) = begun.and_then(|rest| rest.strip_suffix(" {")) {
            inside = Some(name);
        } else if line.starts_with('}') {
            inside = None;
        }
        let comment = line.trim_start().starts_with(['*', '/']);
        let mut line = line.to_owned();
        if !comment && !line.starts_with("typedef struct") && !line.starts_with("typedef enum") {
            for (tag, names) in [("struct", &source.structs), ("enum", &source.enums)] {
                for name in names.iter().filter(|name| inside != Some(name)) {
                    line = without_tag(&line, tag, name);
                }
            }
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}

fn without_tag(line: &str, tag: &str, name: &str) -> String {
    let tagged = format!("{tag} {name}");
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(&tagged) {
        out.push_str(before);
        let goes_on = after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        out.push_str(if goes_on { &tagged } else { name });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_stay_where_they_are_needed() {
        let source = Source {
            structs: vec!["A".into(), "B".into()],
            enums: vec!["E".into()],
            ..Source::default()
        };
        let text = "typedef struct A {\n    struct A *next;\n    enum E e;\n} A;\nenum E f(struct A *a, struct AB *ab);\n";
        assert_eq!(
            without_tags(text, &source),
            "typedef struct A {\n    struct A *next;\n    E e;\n} A;\nE f(A *a, struct AB *ab);\n"
        );
    }

    #[test]
    fn a_template_keeps_its_c_and_gets_its_guard() {
        let faces = Faces {
            enums: vec!["e".into()],
            aliases: vec!["e_t".into()],
        };
        let template = "/**\n * a/B.h\n */\n#define X(a) \\\n    a\n\n@handle B_T@\n";
        assert_eq!(
            header("a/B", template, &faces, Path::new(".")).map_err(|e| e.to_string()),
            Ok("/**\n * a/B.h\n */\n\n#ifndef NETCONN_A_B_H\n#define NETCONN_A_B_H\n#define X(a) \\\n    a\n\n\
                #ifdef __cplusplus\ntypedef struct B_T_ *B_T;\n#else\ntypedef struct B_T *B_T;\n#endif\n\n\
                #endif /* NETCONN_A_B_H */\n"
                .to_owned())
        );
        assert_eq!(faces.enum_of("e_t"), Some("e"));
        assert_eq!(faces.enum_of("f_t"), None);
    }

    #[test]
    fn what_a_template_asks_for_must_be_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let faces = Faces {
            enums: Vec::new(),
            aliases: Vec::new(),
        };
        let ask = |line: &str| header("x", &format!("/** x */\n{line}\n"), &faces, &root);
        assert!(ask("@from netconn.rs: no_such_thing@").is_err());
        assert!(ask("@nonsense@").is_err());
        assert!(ask("@from netconn.rs: netconn_version,").is_err());
        let made = ask("@from netconn.rs:\n    netconn_version@").unwrap_or_default();
        assert!(
            made.contains("const char *netconn_version(void);"),
            "{made}"
        );
        assert!(!made.contains("netconn_cleanup"), "{made}");
    }
}
