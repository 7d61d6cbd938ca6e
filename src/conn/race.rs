//! Happy Eyeballs (RFC 8305 section 5): which address is tried when. Pure.
