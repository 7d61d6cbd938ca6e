//! Names as they are looked up: the ASCII form, and which names cannot exist. Pure.

/// Octets of a name in a DNS message, less the length octets at its ends (RFC 1035 section 3.1).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// The IDNA form (UTS-46) of a name, lower-cased ASCII as it is looked up, sent and checked; `None` for an impossible
/// one. A pure ASCII name comes back as it is, unless impossible (empty label, label over 63 bytes, over 253 in all, or
/// a character that no host name has and that would mean something else where the name is sent: a control character, a
/// space, or one of `"#%/:<>?@[\]^|`).
pub fn to_ascii(name: &str) -> Option<String> {
    let ascii = if name.is_ascii() {
        name.to_owned()
    } else {
        ::idna::domain_to_ascii_cow(name.as_bytes(), ::idna::AsciiDenyList::URL)
            .ok()?
            .into_owned()
    };
    is_possible(&ascii).then_some(ascii)
}

fn is_possible(name: &str) -> bool {
    // One trailing dot names the root: the name is complete.
    let labels = name.strip_suffix('.').unwrap_or(name);
    labels.len() <= MAX_NAME
        && labels
            .split('.')
            .all(|label| !label.is_empty() && label.len() <= MAX_LABEL)
        && labels
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !br##""#%/:<>?@[\]^|"##.contains(&byte))
}

/// Whether `inet_aton` would take this name for an IPv4 address: one to four numbers, decimal, octal or hexadecimal.
/// `getaddrinfo` does, so that "0177.1" is 127.0.0.1; a program that checks addresses by their usual form would be
/// misled, and no host has such a name.
pub(super) fn is_numeric(name: &str) -> bool {
    let labels = name.strip_suffix('.').unwrap_or(name);
    let is_number = |label: &str| match label.strip_prefix("0x").or(label.strip_prefix("0X")) {
        Some(hex) => hex.bytes().all(|b| b.is_ascii_hexdigit()),
        None => !label.is_empty() && label.bytes().all(|b| b.is_ascii_digit()),
    };
    labels.split('.').count() <= 4 && labels.split('.').all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ascii_names_stay_as_they_are() {
        for name in [
            "example.org",
            "Example.ORG.",
            "localhost",
            "_sip._tcp.example.org",
            "a-.b",
            "xn--a",
            "a*b",
        ] {
            assert_eq!(to_ascii(name).as_deref(), Some(name));
        }
    }

    #[test]
    fn other_names_take_their_idna_form() {
        assert_eq!(
            to_ascii("bücher.example").as_deref(),
            Some("xn--bcher-kva.example")
        );
        assert_eq!(
            to_ascii("BÜCHER.example").as_deref(),
            Some("xn--bcher-kva.example")
        );
        assert_eq!(to_ascii("faß.de").as_deref(), Some("xn--fa-hia.de"));
        assert_eq!(to_ascii("日本語。jp").as_deref(), Some("xn--wgv71a119e.jp"));
        // Compatibility forms of ASCII become ASCII: the caller still has to look at what came out.
        assert_eq!(to_ascii("１２７.０.０.１").as_deref(), Some("127.0.0.1"));
    }

    #[test]
    fn impossible_names_are_none() {
        let long_label = "a".repeat(64);
        let long_name = ["a"; 128].join(".");
        assert_eq!(long_name.len(), 255);
        for name in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a b",
            "a\r\nb",
            "a\0b",
            "a/b",
            "a:80",
            "a%b",
            "[::1",
            "user@host",
            "ü..de",
            "\u{ad}",
            "a\u{2044}b\u{ff0f}c",
            "\u{202e}a.de",
            &long_label,
            &long_name,
        ] {
            assert_eq!(to_ascii(name), None, "{name:?}");
        }
        assert!(to_ascii(&"a".repeat(63)).is_some());
        assert!(to_ascii(&["a"; 127].join(".")).is_some());
        assert!(to_ascii(&format!("{}.", ["a"; 127].join("."))).is_some());
    }

    #[test]
    fn old_spellings_of_addresses_are_numeric() {
        for name in [
            "127.1",
            "0177.0.0.1",
            "2130706433",
            "0x7f.1",
            "0X7F000001",
            "127.0.0.1",
            "127.0.0.1.",
            "0x.1",
        ] {
            assert!(is_numeric(name), "{name}");
        }
        for name in [
            "a",
            "1.2.3.4.5",
            "1.example",
            "1a",
            "0xg",
            "1..2",
            "",
            "1-2",
        ] {
            assert!(!is_numeric(name), "{name}");
        }
    }

    proptest! {
        /// What comes out is possible, ASCII, and its own ASCII form.
        #[test]
        fn the_ascii_form_is_a_fixed_point(name in "\\PC{0,40}") {
            if let Some(ascii) = to_ascii(&name) {
                prop_assert!(ascii.is_ascii() && !ascii.is_empty());
                prop_assert_eq!(to_ascii(&ascii), Some(ascii));
            }
        }

        /// Whatever `inet_aton` takes is either refused as a name or found out to be numeric.
        #[test]
        fn no_address_passes_for_a_name(name in "[0-9xXa-f.]{1,20}") {
            extern "C" {
                fn inet_aton(name: *const std::ffi::c_char, out: *mut libc::in_addr) -> std::ffi::c_int;
            }
            let text = std::ffi::CString::new(name.as_str()).unwrap();
            let mut out = libc::in_addr { s_addr: 0 };
            // SAFETY: a NUL-terminated string and a place for the result.
            let taken = unsafe { inet_aton(text.as_ptr(), &mut out) } != 0;
            prop_assert!(!taken || to_ascii(&name).is_none() || is_numeric(&name));
        }
    }
}
