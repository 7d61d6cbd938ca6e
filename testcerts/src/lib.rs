//! Certificates for the tests.
