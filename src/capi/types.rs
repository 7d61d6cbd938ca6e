//! How C's own types are spelled in exported signatures: as plain integers, checked before they become anything else.
//! The header generator prints them by their C names.

/// C's `bool`: any value but 0 is true.
#[allow(non_camel_case_types)]
pub type c_bool = u8;
