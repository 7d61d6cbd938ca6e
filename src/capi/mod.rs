//! The C face: one file per public header. Checks pointers and lengths, converts, calls one core function inside the
//! guard, converts back. The only place with exported functions.

mod addrinfo;
pub mod arena;
pub mod dns_cares;
pub mod evloop;
pub mod except;
pub mod guard;
pub mod net_conn;
pub mod net_conn_info;
pub mod net_conn_io;
pub mod net_conn_life;
pub mod net_conn_options;
pub mod netconn;
pub mod netconn_tls;
pub mod netconn_tls_secrets;
pub mod netconn_tls_sessions;
pub mod pconn;
pub mod raise;
pub mod shim;
pub mod socket;
pub mod socket_config;
pub mod socket_data;
pub mod socket_dns;
pub mod socket_error;
pub mod socket_event;
pub mod socket_io;
pub mod socket_log;
pub mod socket_message;
pub mod socket_options;
pub mod socket_stats;
pub mod socket_time;
pub mod socket_tls_config;
pub mod socket_tls_context;
pub mod socket_tls_types;
pub mod socket_unix;
pub mod tls_types;
pub mod types;
