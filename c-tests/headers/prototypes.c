/*
 * Every function of the headers, assigned to a pointer of the type that programs were written against: a signature that
 * drifts, in C or in C++, fails to compile. Compiles as C99, C11 and C++ (scripts/check-headers.sh), and links, so that a
 * function that a header declares and the library lacks is found too.
 */
#include "dns_cares.h"
#include "evloop.h"
#include "net_conn.h"
#include "netconn.h"
#include "netconn_tls.h"
#include "pconn.h"

#include <stddef.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The result, the name, the arguments in parentheses. */
#define FUNCTION(result, name, arguments) static result(*const pointer_to_##name) arguments = name;

/* ---- netconn.h ---- */
FUNCTION(const char *, netconn_version, (void))
FUNCTION(const char *, netconn_openssl, (void))
FUNCTION(const char *, netconn_poller, (void))
FUNCTION(void, netconn_set_log, (void (*)(int, const char *, void *), void *))
FUNCTION(const char *, netconn_strerror, (int))
FUNCTION(void, netconn_cleanup, (void))

/* ---- evloop.h ---- */
static void on_io(int fd, int revents, void *arg) { (void)fd, (void)revents, (void)arg; }
static void on_timer(void *arg) { (void)arg; }
static ev_io_cb_t const io_callback = on_io;
static ev_timer_cb_t const timer_callback = on_timer;
FUNCTION(struct ev_loop *, evloop_get_default, (void))
FUNCTION(struct ev_loop *, evloop_new, (void))
FUNCTION(void, evloop_free, (struct ev_loop *))
FUNCTION(struct evloop_io *, evloop_io_start, (struct ev_loop *, int, int, void (*)(int, int, void *), void *))
FUNCTION(void, evloop_io_update, (struct evloop_io *, int))
FUNCTION(void, evloop_io_stop, (struct evloop_io *))
FUNCTION(void, evloop_io_free, (struct evloop_io *))
FUNCTION(struct evloop_timer *, evloop_timer_start, (struct ev_loop *, double, double, void (*)(void *), void *))
FUNCTION(void, evloop_timer_reschedule, (struct evloop_timer *, double, double))
FUNCTION(void, evloop_timer_stop, (struct evloop_timer *))
FUNCTION(void, evloop_timer_free, (struct evloop_timer *))
FUNCTION(void, evloop_run, (struct ev_loop *))
FUNCTION(void, evloop_break, (struct ev_loop *))
FUNCTION(void, evloop_destroy_all, (void))
FUNCTION(void, evloop_io_ref, (struct evloop_io *))
FUNCTION(void, evloop_io_unref, (struct evloop_io *))
FUNCTION(void, evloop_timer_ref, (struct evloop_timer *))
FUNCTION(void, evloop_timer_unref, (struct evloop_timer *))
FUNCTION(int, evloop_run_once, (struct ev_loop *, int))
FUNCTION(int, evloop_fd, (struct ev_loop *))
FUNCTION(int, evloop_timeout_ms, (struct ev_loop *))
FUNCTION(int, evloop_post, (struct ev_loop *, void (*)(void *), void *))
FUNCTION(void, evloop_wakeup, (struct ev_loop *))
FUNCTION(struct evloop_signal *, evloop_signal_start, (struct ev_loop *, int, void (*)(int, void *), void *))
FUNCTION(void, evloop_signal_stop, (struct evloop_signal *))
FUNCTION(void, evloop_signal_free, (struct evloop_signal *))
FUNCTION(double, evloop_now, (struct ev_loop *))
FUNCTION(int, evloop_set_attachment, (struct ev_loop *, void *, void (*)(void *)))
FUNCTION(void *, evloop_get_attachment, (struct ev_loop *))
FUNCTION(int, evloop_after_fork, (struct ev_loop *))

/* ---- dns_cares.h ---- */
static void on_answer(int status, const struct addrinfo *ai, void *arg) { (void)status, (void)ai, (void)arg; }
static dns_result_cb const answer_callback = on_answer;
FUNCTION(int, dns_init, (struct ev_loop *))
FUNCTION(void, dns_shutdown, (void))
FUNCTION(void, dns_resolve_async,
         (struct ev_loop *, const char *, const char *, int, int, int,
          void (*)(int, const struct addrinfo *, void *), void *))
FUNCTION(struct dns_request *, dns_resolve_start,
         (struct ev_loop *, const char *, const char *, int, int, int,
          void (*)(int, const struct addrinfo *, void *), void *))
FUNCTION(void, dns_cancel, (struct dns_request *))
FUNCTION(const char *, dns_strerror, (int))
FUNCTION(void, dns_set_cache_ttl, (double))
FUNCTION(void, dns_set_resolver,
         (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **, void *),
          void (*)(struct addrinfo *), void *))

/* ---- net_conn.h ---- */
static void on_event(struct net_conn *c, void *arg) { (void)c, (void)arg; }
static conn_event_cb const event_callback = on_event;
FUNCTION(struct net_conn *, conn_new,
         (struct ev_loop *, const char *, const char *, bool, void (*)(struct net_conn *, void *),
          void (*)(struct net_conn *, void *), void *))
FUNCTION(struct net_conn *, conn_new_with,
         (struct ev_loop *, const char *, const char *, const struct conn_options *, conn_event_cb, conn_event_cb,
          void *))
FUNCTION(struct net_conn *, conn_from_fd,
         (struct ev_loop *, int, const struct conn_options *, conn_event_cb, conn_event_cb, void *))
FUNCTION(void, conn_options_init, (struct conn_options *))
FUNCTION(int, conn_set_default_options, (const struct conn_options *))
FUNCTION(int, conn_set_default_tls, (SocketTLSContext_T))
FUNCTION(void, conn_close, (struct net_conn *))
FUNCTION(void, conn_abort, (struct net_conn *))
FUNCTION(ssize_t, conn_try_read, (struct net_conn *, void *, size_t))
FUNCTION(ssize_t, conn_try_write, (struct net_conn *, const void *, size_t))
FUNCTION(ssize_t, conn_try_writev, (struct net_conn *, const struct iovec *, int))
FUNCTION(int, conn_shutdown, (struct net_conn *))
FUNCTION(void, conn_set_readable_callback, (struct net_conn *, conn_event_cb, void *))
FUNCTION(void, conn_set_writable_callback, (struct net_conn *, conn_event_cb, void *))
FUNCTION(enum conn_state, conn_get_state, (struct net_conn *))
FUNCTION(const char *, conn_get_error_msg, (struct net_conn *))
FUNCTION(const char *, conn_get_host, (struct net_conn *))
FUNCTION(const char *, conn_get_port, (struct net_conn *))
FUNCTION(bool, conn_get_use_tls, (struct net_conn *))
FUNCTION(enum conn_error, conn_get_error, (struct net_conn *))
FUNCTION(int, conn_get_errno, (struct net_conn *))
FUNCTION(long, conn_get_verify_result, (struct net_conn *))
FUNCTION(void, conn_ref, (struct net_conn *))
FUNCTION(void, conn_unref, (struct net_conn *))
FUNCTION(size_t, conn_pending, (struct net_conn *))
FUNCTION(int, conn_get_fd, (struct net_conn *))
FUNCTION(int, conn_local_addr, (struct net_conn *, struct sockaddr *, socklen_t *))
FUNCTION(int, conn_peer_addr, (struct net_conn *, struct sockaddr *, socklen_t *))
FUNCTION(const char *, conn_get_alpn, (struct net_conn *))
FUNCTION(const char *, conn_get_tls_version, (struct net_conn *))
FUNCTION(const char *, conn_get_cipher, (struct net_conn *))
FUNCTION(bool, conn_session_reused, (struct net_conn *))
FUNCTION(bool, conn_early_data_accepted, (struct net_conn *))
FUNCTION(size_t, conn_early_data_len, (struct net_conn *))
FUNCTION(const struct conn_timing *, conn_get_timing, (struct net_conn *))
FUNCTION(int, conn_get_peer_certificate, (struct net_conn *, struct conn_certificate *))
FUNCTION(enum netconn_tls_ocsp, conn_get_ocsp_status, (struct net_conn *))
FUNCTION(int, conn_start_tls, (struct net_conn *, const struct conn_options *, conn_event_cb, conn_event_cb, void *))
FUNCTION(int, conn_detach, (struct net_conn *))
FUNCTION(ssize_t, conn_try_sendfile, (struct net_conn *, int, off_t *, size_t))
FUNCTION(int, conn_set_idle_timeout, (struct net_conn *, double))
FUNCTION(void, conn_set_data, (struct net_conn *, void *))
FUNCTION(void *, conn_get_data, (struct net_conn *))

/* ---- netconn_tls.h ---- */
static const char *choose(const char *const *offered, size_t n, void *arg) {
    (void)arg;
    return n ? offered[0] : NULL;
}
static int verify(int preverified, int depth, const char *subject, long x509_error, void *arg) {
    (void)depth, (void)subject, (void)x509_error, (void)arg;
    return preverified;
}
static netconn_tls_alpn_cb const alpn_callback = choose;
static netconn_tls_verify_cb const verify_callback = verify;
FUNCTION(SocketTLSContext_T, netconn_tls_client, (const char *))
FUNCTION(SocketTLSContext_T, netconn_tls_server, (const char *, const char *, const char *))
FUNCTION(void, netconn_tls_free, (SocketTLSContext_T *))
FUNCTION(int, netconn_tls_load_ca, (SocketTLSContext_T, const char *))
FUNCTION(int, netconn_tls_load_ca_pem, (SocketTLSContext_T, const void *, size_t))
FUNCTION(int, netconn_tls_load_certificate, (SocketTLSContext_T, const char *, const char *))
FUNCTION(int, netconn_tls_load_certificate_pem, (SocketTLSContext_T, const void *, size_t, const void *, size_t))
FUNCTION(int, netconn_tls_set_verify, (SocketTLSContext_T, enum netconn_tls_verify))
FUNCTION(int, netconn_tls_set_verify_callback, (SocketTLSContext_T, netconn_tls_verify_cb, void *))
FUNCTION(int, netconn_tls_set_versions, (SocketTLSContext_T, int, int))
FUNCTION(int, netconn_tls_set_alpn, (SocketTLSContext_T, const char *const *, size_t))
FUNCTION(int, netconn_tls_set_alpn_callback, (SocketTLSContext_T, netconn_tls_alpn_cb, void *))
FUNCTION(int, netconn_tls_set_session_reuse, (SocketTLSContext_T, bool))
FUNCTION(int, netconn_tls_set_session_callbacks,
         (SocketTLSContext_T, netconn_tls_session_store_cb, netconn_tls_session_load_cb, netconn_tls_session_remove_cb, void *))
FUNCTION(int, netconn_tls_set_password_callback, (SocketTLSContext_T, int (*)(char *, int, void *), void *))
FUNCTION(int, netconn_tls_set_keylog, (SocketTLSContext_T, const char *))
FUNCTION(int, netconn_tls_enable_early_data, (SocketTLSContext_T, uint32_t))
FUNCTION(int, netconn_tls_disable_early_data, (SocketTLSContext_T))
FUNCTION(void *, netconn_tls_ssl_ctx, (SocketTLSContext_T))
FUNCTION(int, netconn_tls_verify_name, (const char *, const char *))
FUNCTION(const char *, netconn_tls_error, (void))

#ifdef __cplusplus
}
#endif

/* The members of the visible structs, at the types and in the order that programs were compiled with. */
struct conn_as_written {
    enum conn_state state;
    char *host;
    char *port;
    bool use_tls;
    int fd;
    SSL *ssl;
    struct evloop_io *io_watcher;
    struct evloop_timer *connect_timer;
    conn_event_cb on_ready;
    conn_event_cb on_error;
    void *cb_arg;
    conn_event_cb readable_cb;
    conn_event_cb writable_cb;
    void *rw_arg;
};
struct timing_as_written {
    uint64_t resolve, connect, tls, total;
    unsigned attempts;
};
struct certificate_as_written {
    size_t size;
    char subject[256], issuer[256];
    char names[1024];
    char serial[64];
    int64_t not_before, not_after;
    unsigned char sha256[32], key_sha256[32];
};
struct options_as_written {
    size_t size;
    double resolve_timeout, connect_timeout, tls_timeout;
    double deadline;
    double attempt_delay;
    int family;
    const struct sockaddr *local_addr;
    socklen_t local_addr_len;
    bool nodelay;
    double keepalive;
    bool use_tls, server_side;
    SocketTLSContext_T tls;
    const char *server_name;
    bool allow_truncation;
    int (*on_socket)(int fd, void *arg);
    void *socket_arg;
    const void *early_data;
    size_t early_data_len;
};

/* An array of a negative size where the condition does not hold: C99 has no better. */
#define HOLDS(name, condition) typedef char holds_##name[(condition) ? 1 : -1];
#define SAME_PLACE(written, type, member)                                                                              \
    HOLDS(type##_##member, offsetof(struct written, member) == offsetof(struct type, member))
SAME_PLACE(conn_as_written, net_conn, state)
SAME_PLACE(conn_as_written, net_conn, host)
SAME_PLACE(conn_as_written, net_conn, port)
SAME_PLACE(conn_as_written, net_conn, use_tls)
SAME_PLACE(conn_as_written, net_conn, fd)
SAME_PLACE(conn_as_written, net_conn, ssl)
SAME_PLACE(conn_as_written, net_conn, io_watcher)
SAME_PLACE(conn_as_written, net_conn, connect_timer)
SAME_PLACE(conn_as_written, net_conn, on_ready)
SAME_PLACE(conn_as_written, net_conn, on_error)
SAME_PLACE(conn_as_written, net_conn, cb_arg)
SAME_PLACE(conn_as_written, net_conn, readable_cb)
SAME_PLACE(conn_as_written, net_conn, writable_cb)
SAME_PLACE(conn_as_written, net_conn, rw_arg)
SAME_PLACE(timing_as_written, conn_timing, resolve)
SAME_PLACE(timing_as_written, conn_timing, connect)
SAME_PLACE(timing_as_written, conn_timing, tls)
SAME_PLACE(timing_as_written, conn_timing, total)
SAME_PLACE(timing_as_written, conn_timing, attempts)
SAME_PLACE(certificate_as_written, conn_certificate, subject)
SAME_PLACE(certificate_as_written, conn_certificate, issuer)
SAME_PLACE(certificate_as_written, conn_certificate, names)
SAME_PLACE(certificate_as_written, conn_certificate, serial)
SAME_PLACE(certificate_as_written, conn_certificate, not_before)
SAME_PLACE(certificate_as_written, conn_certificate, not_after)
SAME_PLACE(certificate_as_written, conn_certificate, sha256)
SAME_PLACE(certificate_as_written, conn_certificate, key_sha256)
SAME_PLACE(options_as_written, conn_options, resolve_timeout)
SAME_PLACE(options_as_written, conn_options, deadline)
SAME_PLACE(options_as_written, conn_options, attempt_delay)
SAME_PLACE(options_as_written, conn_options, family)
SAME_PLACE(options_as_written, conn_options, local_addr)
SAME_PLACE(options_as_written, conn_options, local_addr_len)
SAME_PLACE(options_as_written, conn_options, nodelay)
SAME_PLACE(options_as_written, conn_options, keepalive)
SAME_PLACE(options_as_written, conn_options, use_tls)
SAME_PLACE(options_as_written, conn_options, server_side)
SAME_PLACE(options_as_written, conn_options, tls)
SAME_PLACE(options_as_written, conn_options, server_name)
SAME_PLACE(options_as_written, conn_options, allow_truncation)
SAME_PLACE(options_as_written, conn_options, on_socket)
SAME_PLACE(options_as_written, conn_options, socket_arg)
SAME_PLACE(options_as_written, conn_options, early_data)
SAME_PLACE(options_as_written, conn_options, early_data_len)

HOLDS(event_bits, EVLOOP_READ == 0x01 && EVLOOP_WRITE == 0x02)
HOLDS(states, CONN_INIT == 0 && CONN_RESOLVING == 1 && CONN_CONNECTING == 2 && CONN_TLS_HANDSHAKE == 3 &&
                  CONN_READY == 4 && CONN_CLOSED == 5 && CONN_ERROR == 6)
HOLDS(errors, CONN_ERR_NONE == 0 && CONN_ERR_RESOLVE == 1 && CONN_ERR_CONNECT == 2 && CONN_ERR_TIMEOUT == 3 &&
                  CONN_ERR_TLS == 4 && CONN_ERR_CERTIFICATE == 5 && CONN_ERR_IO == 6 && CONN_ERR_RESOURCE == 7 &&
                  CONN_ERR_INVALID == 8)
HOLDS(log_levels, NETCONN_LOG_ERROR == 0 && NETCONN_LOG_WARN == 1 && NETCONN_LOG_INFO == 2 && NETCONN_LOG_DEBUG == 3)
HOLDS(verification, NETCONN_TLS_VERIFY_FULL == 0 && NETCONN_TLS_VERIFY_CHAIN == 1 && NETCONN_TLS_VERIFY_NONE == 2 &&
                        NETCONN_TLS_VERIFY_REQUIRE_CLIENT == 3 && NETCONN_TLS_VERIFY_OPTIONAL_CLIENT == 4)
HOLDS(staples, NETCONN_TLS_OCSP_NONE == 0 && NETCONN_TLS_OCSP_GOOD == 1 && NETCONN_TLS_OCSP_REVOKED == 2 &&
                   NETCONN_TLS_OCSP_UNKNOWN == 3 && NETCONN_TLS_OCSP_INVALID == 4)
HOLDS(version, NETCONN_VERSION_NUM ==
                   (NETCONN_VERSION_MAJOR << 16 | NETCONN_VERSION_MINOR << 8 | NETCONN_VERSION_PATCH))
#if defined EV_READ || defined EV_WRITE
#error "EV_READ and EV_WRITE are ev.h's"
#endif

/* ---- pconn.h ---- */
FUNCTION(struct pconn_pool *, pconn_pool_new, (struct ev_loop *))
FUNCTION(void, pconn_pool_free, (struct pconn_pool *))
FUNCTION(struct net_conn *, pconn_acquire,
         (struct pconn_pool *, const char *, const char *, const char *, bool, conn_event_cb, conn_event_cb, void *))
FUNCTION(void, pconn_release, (struct pconn_pool *, struct net_conn *, bool))
FUNCTION(void, pconn_flush_for_host, (struct pconn_pool *, const char *))
FUNCTION(void, pconn_shutdown_all, (struct pconn_pool *))
FUNCTION(size_t, pconn_get_idle_count, (struct pconn_pool *))
FUNCTION(size_t, pconn_get_total_count, (struct pconn_pool *))
FUNCTION(void, pconn_pool_set_limits, (struct pconn_pool *, size_t, size_t, double))

#define USE(name) pointer_to_##name != NULL &&

int main(void) {
    int all =
        USE(netconn_version) USE(netconn_openssl) USE(netconn_poller) USE(netconn_set_log) USE(netconn_strerror)
        USE(netconn_cleanup) USE(evloop_get_default) USE(evloop_new) USE(evloop_free) USE(evloop_io_start)
        USE(evloop_io_update) USE(evloop_io_stop) USE(evloop_io_free) USE(evloop_timer_start)
        USE(evloop_timer_reschedule) USE(evloop_timer_stop) USE(evloop_timer_free) USE(evloop_run) USE(evloop_break)
        USE(evloop_destroy_all) USE(evloop_io_ref) USE(evloop_io_unref) USE(evloop_timer_ref) USE(evloop_timer_unref)
        USE(evloop_run_once) USE(evloop_fd) USE(evloop_timeout_ms) USE(evloop_post) USE(evloop_wakeup)
        USE(evloop_signal_start) USE(evloop_signal_stop) USE(evloop_signal_free) USE(evloop_now)
        USE(evloop_set_attachment) USE(evloop_get_attachment) USE(evloop_after_fork)
        USE(dns_init) USE(dns_shutdown) USE(dns_resolve_async)
        USE(dns_resolve_start) USE(dns_cancel) USE(dns_strerror) USE(dns_set_cache_ttl) USE(dns_set_resolver)
        USE(conn_new)
        USE(conn_new_with) USE(conn_from_fd) USE(conn_options_init) USE(conn_set_default_options)
        USE(conn_set_default_tls) USE(conn_close) USE(conn_abort) USE(conn_try_read) USE(conn_try_write)
        USE(conn_try_writev) USE(conn_shutdown) USE(conn_set_readable_callback) USE(conn_set_writable_callback)
        USE(conn_get_state) USE(conn_get_error_msg) USE(conn_get_host) USE(conn_get_port) USE(conn_get_use_tls)
        USE(conn_get_error) USE(conn_get_errno) USE(conn_get_verify_result) USE(conn_ref) USE(conn_unref)
        USE(conn_pending) USE(conn_get_fd) USE(conn_local_addr) USE(conn_peer_addr) USE(conn_get_alpn)
        USE(conn_get_tls_version) USE(conn_get_cipher) USE(conn_session_reused) USE(conn_get_timing)
        USE(conn_get_peer_certificate) USE(conn_get_ocsp_status) USE(conn_set_data) USE(conn_get_data)
        USE(conn_start_tls) USE(conn_detach) USE(conn_early_data_accepted) USE(conn_early_data_len)
        USE(conn_set_idle_timeout) USE(conn_try_sendfile)
        USE(netconn_tls_client) USE(netconn_tls_server) USE(netconn_tls_free) USE(netconn_tls_load_ca)
        USE(netconn_tls_load_ca_pem) USE(netconn_tls_load_certificate) USE(netconn_tls_load_certificate_pem)
        USE(netconn_tls_set_verify) USE(netconn_tls_set_verify_callback) USE(netconn_tls_set_versions)
        USE(netconn_tls_set_alpn) USE(netconn_tls_set_alpn_callback) USE(netconn_tls_set_session_reuse)
        USE(netconn_tls_set_session_callbacks) USE(netconn_tls_set_password_callback) USE(netconn_tls_set_keylog)
        USE(netconn_tls_enable_early_data) USE(netconn_tls_disable_early_data)
        USE(netconn_tls_ssl_ctx) USE(netconn_tls_verify_name) USE(netconn_tls_error)
        USE(pconn_pool_new) USE(pconn_pool_free) USE(pconn_acquire) USE(pconn_release) USE(pconn_flush_for_host)
        USE(pconn_shutdown_all) USE(pconn_get_idle_count) USE(pconn_get_total_count) USE(pconn_pool_set_limits)
        1;
    (void)io_callback, (void)timer_callback, (void)answer_callback, (void)event_callback;
    (void)alpn_callback, (void)verify_callback;
    printf("every function of the headers is there\n");
    return all ? 0 : 1;
}
