//! What cbindgen prints, as a C programmer writes it: comments that fit the line, prototypes that fill it, names and
//! preprocessor comments of C. Knows nothing of where the text comes from.

/// The longest line.
pub const LINE_LENGTH: usize = 120;

/// A whole header.
pub fn polish(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let mut chunk = vec![line];
        let end = match line {
            line if line.trim_start() == "/**" => "*/",
            line if begins_prototype(line) => ";",
            _ => "",
        };
        while !chunk.last().is_some_and(|last| last.ends_with(end)) {
            match lines.next() {
                Some(line) => chunk.push(line),
                None => break,
            }
        }
        match end {
            "*/" => comment(&mut out, &chunk),
            ";" => prototype(&mut out, &chunk),
            _ => {
                // C89 has no comma after the last enumerator.
                if line.starts_with('}') && out.ends_with(",\n") {
                    out.truncate(out.len() - ",\n".len());
                    out.push('\n');
                }
                push(&mut out, &c_words(line));
            }
        }
    }
    out
}

fn push(out: &mut String, line: &str) {
    out.push_str(line.trim_end());
    out.push('\n');
}

/// cbindgen has no key for these.
fn c_words(line: &str) -> String {
    line.replace("ptrdiff_t", "ssize_t")
        .replace("  // extern \"C\"", "")
        .replace("#endif  // __cplusplus", "#endif")
        .replace("#endif // __cplusplus", "#endif")
}

fn begins_prototype(line: &str) -> bool {
    let other = ["#", "}", "/", " ", "typedef", "extern"];
    line.contains('(') && !other.iter().any(|begin| line.starts_with(begin))
}

// ---- Comments -------------------------------------------------------------------------------------------------------

fn comment(out: &mut String, lines: &[&str]) {
    let indent = &lines[0][..lines[0].len() - lines[0].trim_start().len()];
    let text = |line: &&str| {
        let text = line.trim().trim_start_matches('*');
        text.strip_prefix(' ').unwrap_or(text).trim_end().to_owned()
    };
    let inner: Vec<String> = lines[1..lines.len() - 1].iter().map(text).collect();
    let inner = wrapped(
        &without_safety(inner),
        LINE_LENGTH - indent.len() - " * ".len(),
    );
    if let [only] = inner.as_slice() {
        let line = format!("{indent}/** {only} */");
        if line.len() <= LINE_LENGTH {
            return push(out, &line);
        }
    }
    push(out, &format!("{indent}/**"));
    for line in inner {
        push(out, &format!("{indent} * {line}"));
    }
    push(out, &format!("{indent} */"));
}

/// The section that rustdoc wants tells Rust callers what the rest tells a C programmer.
fn without_safety(lines: Vec<String>) -> Vec<String> {
    let mut inside = false;
    let mut kept: Vec<String> = Vec::new();
    for line in lines {
        if line.starts_with("# ") {
            inside = line == "# Safety";
        }
        if !inside {
            kept.push(line);
        }
    }
    while kept.last().is_some_and(String::is_empty) {
        kept.pop();
    }
    kept
}

/// Paragraphs with a line that is too long are filled anew; all others stay as they were written.
fn wrapped(lines: &[String], width: usize) -> Vec<String> {
    let mut out = Vec::new();
    for paragraph in lines.split(String::is_empty) {
        if !out.is_empty() {
            out.push(String::new());
        }
        if paragraph.iter().all(|line| line.chars().count() <= width) {
            out.extend_from_slice(paragraph);
            continue;
        }
        let mut filled = String::new();
        for word in paragraph.iter().flat_map(|line| line.split_whitespace()) {
            if !filled.is_empty() && filled.chars().count() + 1 + word.chars().count() > width {
                out.push(std::mem::take(&mut filled));
            }
            if !filled.is_empty() {
                filled.push(' ');
            }
            filled.push_str(word);
        }
        out.push(filled);
    }
    out
}

// ---- Prototypes -----------------------------------------------------------------------------------------------------

/// On one line where it fits; else arguments fill the lines, under the first one.
fn prototype(out: &mut String, lines: &[&str]) {
    let words: Vec<&str> = lines.iter().flat_map(|l| l.split_whitespace()).collect();
    let joined = c_words(&words.join(" "));
    let Some(open) = joined.find('(').filter(|_| joined.len() > LINE_LENGTH) else {
        return push(out, &joined);
    };
    let (head, arguments) = joined.split_at(open + 1);
    let mut line = head.to_owned();
    for argument in split_arguments(arguments) {
        if line.len() + argument.len() > LINE_LENGTH && line.len() > head.len() {
            push(out, &line);
            line = " ".repeat(head.len());
        }
        line.push_str(argument);
        line.push(' ');
    }
    push(out, &line);
}

/// `int a, void (*f)(int, int), b);` in three, each with what ends it.
fn split_arguments(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0u32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(text[start..=at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_comment_stands_on_one_line() {
        assert_eq!(
            polish("    /**\n     * Short.\n     */\n"),
            "    /** Short. */\n"
        );
    }

    #[test]
    fn the_safety_section_is_left_out() {
        let text = "/**\n * One.\n *\n * Two.\n *\n * # Safety\n * Never mind.\n */\n";
        assert_eq!(polish(text), "/**\n * One.\n *\n * Two.\n */\n");
    }

    #[test]
    fn a_paragraph_with_a_long_line_is_filled_anew_and_no_other() {
        let long = "word ".repeat(30);
        let text = format!("/**\n * a\n * b\n *\n * {long}\n * end\n */\n");
        let out = polish(&text);
        assert!(out.lines().all(|line| line.len() <= LINE_LENGTH), "{out}");
        assert!(
            out.starts_with("/**\n * a\n * b\n *\n * word word"),
            "{out}"
        );
        assert!(out.ends_with("word end\n */\n"), "{out}");
    }

    #[test]
    fn a_prototype_fills_its_lines() {
        let text =
            "ptrdiff_t conn_try_read(struct net_conn *c,\n    void *buf,\n    size_t len);\n";
        assert_eq!(
            polish(text),
            "ssize_t conn_try_read(struct net_conn *c, void *buf, size_t len);\n"
        );
        let many: Vec<String> = (0..6).map(|i| format!("int argument_{i}")).collect();
        let out = polish(&format!(
            "void conn_f({}, void (*f)(int, int));",
            many.join(",\n")
        ));
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 2, "{out}");
        assert!(lines[0].len() <= LINE_LENGTH && lines[0].ends_with(','));
        assert!(lines[1].starts_with("            void (*f)"));
        assert!(lines[1].ends_with("(int, int));"));
    }

    #[test]
    fn the_last_enumerator_has_no_comma() {
        assert_eq!(
            polish("enum e {\n    A,\n    B,\n};"),
            "enum e {\n    A,\n    B\n};\n"
        );
    }

    #[test]
    fn everything_else_stays() {
        let text = "#define EVLOOP_READ 1\n\ntypedef void (*ev_timer_cb_t)(void *arg);\n\nstruct a {\n    int b;\n};\n";
        assert_eq!(polish(text), text);
    }
}
