//! What OpenSSL 3 has and `openssl-sys` does not declare, copied from OpenSSL's headers. Nothing else.

use openssl_sys::{
    stack_st_X509, ASN1_TIME, BIO, EVP_PKEY, SSL, SSL_CTX, SSL_SESSION, X509, X509_NAME,
    X509_STORE, X509_STORE_CTX,
};
use std::ffi::{c_char, c_int, c_uchar, c_ulong, c_void};

/// `SSL_TICKET_RETURN`
pub(super) type TicketReturn = c_int;
/// A full handshake instead of the ticket, and a new ticket.
pub(super) const SSL_TICKET_RETURN_IGNORE_RENEW: TicketReturn = 2;
/// Resume.
pub(super) const SSL_TICKET_RETURN_USE: TicketReturn = 3;
/// Resume, and send a new ticket.
pub(super) const SSL_TICKET_RETURN_USE_RENEW: TicketReturn = 4;
/// The ticket was decrypted.
pub(super) const SSL_TICKET_SUCCESS: c_int = 5;
/// The ticket was decrypted and is old.
pub(super) const SSL_TICKET_SUCCESS_RENEW: c_int = 6;

/// Early data was sent and taken.
pub(super) const SSL_EARLY_DATA_ACCEPTED: c_int = 2;

/// Errors of `errno`'s numbers in the error queue.
pub(super) const ERR_SYSTEM_FLAG: c_ulong = 0x8000_0000;
/// The library number of those.
pub(super) const ERR_LIB_SYS: c_int = 2;
/// The library number of libssl.
pub(super) const ERR_LIB_SSL: c_int = 20;
/// The library number of PEM.
pub(super) const ERR_LIB_PEM: c_int = 9;
/// The library number of the decoders behind PEM.
pub(super) const ERR_LIB_OSSL_DECODER: c_int = 60;
/// No further block.
pub(super) const PEM_R_NO_START_LINE: c_int = 108;
/// The reason of failed allocations up to OpenSSL 3.0; later ones keep the number.
pub(super) const ERR_R_MALLOC_FAILURE: c_int = 256 | (0x1 << 18) | (0x2 << 18);

/// RFC 2253, but readable: UTF-8 stays UTF-8.
pub(super) const XN_FLAG_RFC2253: c_ulong = 0x0111_0317;
/// Escape bytes above 127.
pub(super) const ASN1_STRFLGS_ESC_MSB: c_ulong = 4;

/// How many renegotiations there were, of all the connection.
pub(super) const SSL_CTRL_GET_TOTAL_RENEGOTIATIONS: c_int = 12;

pub(super) type GenerateTicket = unsafe extern "C" fn(*mut SSL, *mut c_void) -> c_int;
pub(super) type DecryptTicket = unsafe extern "C" fn(
    *mut SSL,
    *mut SSL_SESSION,
    *const c_uchar,
    usize,
    c_int,
    *mut c_void,
) -> TicketReturn;

extern "C" {
    pub(super) fn ERR_peek_error() -> c_ulong;
    pub(super) fn ERR_peek_error_all(
        file: *mut *const c_char,
        line: *mut c_int,
        func: *mut *const c_char,
        data: *mut *const c_char,
        flags: *mut c_int,
    ) -> c_ulong;
    pub(super) fn ERR_peek_last_error_all(
        file: *mut *const c_char,
        line: *mut c_int,
        func: *mut *const c_char,
        data: *mut *const c_char,
        flags: *mut c_int,
    ) -> c_ulong;
    pub(super) fn ERR_set_mark() -> c_int;
    pub(super) fn ERR_clear_last_mark() -> c_int;

    pub(super) fn SSL_CTX_use_cert_and_key(
        ctx: *mut SSL_CTX,
        x509: *mut X509,
        key: *mut EVP_PKEY,
        chain: *mut stack_st_X509,
        replace: c_int,
    ) -> c_int;
    pub(super) fn SSL_use_cert_and_key(
        ssl: *mut SSL,
        x509: *mut X509,
        key: *mut EVP_PKEY,
        chain: *mut stack_st_X509,
        replace: c_int,
    ) -> c_int;
    pub(super) fn SSL_get_options(ssl: *const SSL) -> u64;
    pub(super) fn SSL_renegotiate_pending(ssl: *const SSL) -> c_int;
    pub(super) fn X509_NAME_oneline(
        name: *const X509_NAME,
        buf: *mut c_char,
        size: c_int,
    ) -> *mut c_char;
    pub(super) fn SSL_set_options(ssl: *mut SSL, options: u64) -> u64;
    pub(super) fn EVP_Digest(
        data: *const c_void,
        count: usize,
        out: *mut c_uchar,
        len: *mut std::ffi::c_uint,
        kind: *const openssl_sys::EVP_MD,
        engine: *mut openssl_sys::ENGINE,
    ) -> c_int;
    pub(super) fn SSL_certs_clear(ssl: *mut SSL);
    pub(super) fn SSL_get_sigalgs(
        ssl: *mut SSL,
        index: c_int,
        sign: *mut c_int,
        hash: *mut c_int,
        both: *mut c_int,
        raw_sign: *mut c_uchar,
        raw_hash: *mut c_uchar,
    ) -> c_int;
    pub(super) fn SSL_in_before(ssl: *const SSL) -> c_int;
    pub(super) fn SSL_CTX_set_cert_cb(
        ctx: *mut SSL_CTX,
        cb: Option<unsafe extern "C" fn(*mut SSL, *mut c_void) -> c_int>,
        arg: *mut c_void,
    );
    pub(super) fn SSL_CTX_set_default_passwd_cb(
        ctx: *mut SSL_CTX,
        cb: openssl_sys::pem_password_cb,
    );
    pub(super) fn SSL_CTX_set_session_ticket_cb(
        ctx: *mut SSL_CTX,
        generate: Option<GenerateTicket>,
        decrypt: Option<DecryptTicket>,
        arg: *mut c_void,
    ) -> c_int;
    pub(super) fn SSL_SESSION_set1_ticket_appdata(
        session: *mut SSL_SESSION,
        data: *const c_void,
        len: usize,
    ) -> c_int;
    pub(super) fn SSL_SESSION_get0_ticket_appdata(
        session: *mut SSL_SESSION,
        data: *mut *mut c_void,
        len: *mut usize,
    ) -> c_int;
    pub(super) fn SSL_SESSION_is_resumable(session: *const SSL_SESSION) -> c_int;
    pub(super) fn SSL_set_not_resumable_session_callback(
        ssl: *mut SSL,
        cb: Option<unsafe extern "C" fn(*mut SSL, c_int) -> c_int>,
    );
    pub(super) fn SSL_CTX_flush_sessions(ctx: *mut SSL_CTX, time: std::ffi::c_long);
    pub(super) fn SSL_set_recv_max_early_data(ssl: *mut SSL, max: u32) -> c_int;
    pub(super) fn SSL_set_allow_early_data_cb(
        ssl: *mut SSL,
        cb: Option<unsafe extern "C" fn(*mut SSL, *mut c_void) -> c_int>,
        arg: *mut c_void,
    );
    pub(super) fn SSL_get_early_data_status(ssl: *const SSL) -> c_int;
    pub(super) fn SSL_set_session_id_context(
        ssl: *mut SSL,
        context: *const c_uchar,
        len: std::ffi::c_uint,
    ) -> c_int;
    pub(super) fn SSL_set_verify_result(ssl: *mut SSL, result: std::ffi::c_long);
    pub(super) fn SSL_SESSION_get0_id_context(
        session: *const SSL_SESSION,
        len: *mut std::ffi::c_uint,
    ) -> *const c_uchar;
    pub(super) fn SSL_SESSION_dup(session: *const SSL_SESSION) -> *mut SSL_SESSION;
    pub(super) fn SSL_SESSION_get_ticket_lifetime_hint(session: *const SSL_SESSION) -> c_ulong;
    pub(super) fn SSL_get1_session(ssl: *mut SSL) -> *mut SSL_SESSION;
    pub(super) fn SSL_SESSION_get0_peer(session: *mut SSL_SESSION) -> *mut X509;
    pub(super) fn SSL_SESSION_get0_hostname(session: *const SSL_SESSION) -> *const c_char;
    pub(super) fn SSL_SESSION_get0_alpn_selected(
        session: *const SSL_SESSION,
        name: *mut *const c_uchar,
        len: *mut usize,
    );
    pub(super) fn SSL_get0_peer_certificate(ssl: *const SSL) -> *mut X509;

    pub(super) fn X509_STORE_load_path(store: *mut X509_STORE, path: *const c_char) -> c_int;
    pub(super) fn X509_STORE_CTX_get0_untrusted(ctx: *const X509_STORE_CTX) -> *mut stack_st_X509;
    pub(super) fn X509_check_private_key(x509: *const X509, key: *const EVP_PKEY) -> c_int;
    pub(super) fn X509_get_X509_PUBKEY(x509: *const X509) -> *mut c_void;
    pub(super) fn i2d_X509_PUBKEY(key: *const c_void, out: *mut *mut c_uchar) -> c_int;
    pub(super) fn X509_NAME_print_ex(
        out: *mut BIO,
        name: *const X509_NAME,
        indent: c_int,
        flags: c_ulong,
    ) -> c_int;
    pub(super) fn ASN1_TIME_to_tm(time: *const ASN1_TIME, tm: *mut libc::tm) -> c_int;
    pub(super) fn OPENSSL_cleanse(data: *mut c_void, len: usize);
    pub(super) fn PEM_read_bio_X509_AUX(
        bio: *mut BIO,
        out: *mut *mut X509,
        cb: openssl_sys::pem_password_cb,
        arg: *mut c_void,
    ) -> *mut X509;
    pub(super) fn X509_get_default_cert_file() -> *const c_char;
    pub(super) fn X509_get_default_cert_dir() -> *const c_char;
}

/// Reasons above this one are the peer's alerts.
pub(super) const SSL_AD_REASON_OFFSET: c_int = 1000;
pub(super) const SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM: c_int = 118;
pub(super) const SSL_R_CERTIFICATE_VERIFY_FAILED: c_int = 134;
pub(super) const SSL_R_HTTPS_PROXY_REQUEST: c_int = 155;
pub(super) const SSL_R_HTTP_REQUEST: c_int = 156;
pub(super) const SSL_R_VERSION_TOO_HIGH: c_int = 166;
pub(super) const SSL_R_NO_PROTOCOLS_AVAILABLE: c_int = 191;
pub(super) const SSL_R_NO_SHARED_CIPHER: c_int = 193;
pub(super) const SSL_R_PACKET_LENGTH_TOO_LONG: c_int = 198;
pub(super) const SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: c_int = 199;
pub(super) const SSL_R_NO_APPLICATION_PROTOCOL: c_int = 235;
pub(super) const SSL_R_UNKNOWN_PROTOCOL: c_int = 252;
pub(super) const SSL_R_UNSUPPORTED_PROTOCOL: c_int = 258;
pub(super) const SSL_R_WRONG_VERSION_NUMBER: c_int = 267;
pub(super) const SSL_R_UNEXPECTED_EOF_WHILE_READING: c_int = 294;
pub(super) const SSL_R_VERSION_TOO_LOW: c_int = 396;
