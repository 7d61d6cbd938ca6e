//! Port numbers and service names. Pure: a name is found by `getaddrinfo`, which asks the services file.

use super::status::{eai, ResolveError};

/// A port, or a name that stands for one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Service {
    Port(u16),
    Name(String),
}

impl Service {
    /// "443", "https", or nothing: port 0. `EAI_SERVICE` for numbers out of range and for what is neither.
    ///
    /// Numbers are judged here because `getaddrinfo` cuts 70000 down to 4464 and takes "-1" and " 80".
    pub(super) fn parse(service: Option<&str>) -> Result<Service, ResolveError> {
        const UNKNOWN: ResolveError = ResolveError::new(eai::EAI_SERVICE);
        let Some(text) = service else {
            return Ok(Service::Port(0));
        };
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().map(Service::Port).map_err(|_| UNKNOWN);
        }
        // A name has a letter (RFC 6335), which no spelling of a number has that strtoul takes whole.
        let is_name = text.bytes().any(|b| b.is_ascii_alphabetic()) && !text.contains('\0');
        is_name
            .then(|| Service::Name(text.to_owned()))
            .ok_or(UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (text, port) in [
            ("0", 0),
            ("80", 80),
            ("0080", 80),
            ("65535", 65535),
            ("00000000000000000000443", 443),
        ] {
            assert_eq!(Service::parse(Some(text)), Ok(Service::Port(port)));
        }
        assert_eq!(Service::parse(None), Ok(Service::Port(0)));
        for text in [
            "65536",
            "70000",
            "99999999999999999999",
            "-1",
            "+80",
            " 80",
            "80 ",
            "",
            "8_0",
            "٣",
        ] {
            assert_eq!(
                Service::parse(Some(text)),
                Err(ResolveError::new(eai::EAI_SERVICE)),
                "{text:?}"
            );
        }
    }

    #[test]
    fn names() {
        for text in ["https", "3com-tsmux", "abc", "+80a"] {
            assert_eq!(
                Service::parse(Some(text)),
                Ok(Service::Name(text.to_owned()))
            );
        }
        assert!(Service::parse(Some("ht\0tps")).is_err());
    }
}
