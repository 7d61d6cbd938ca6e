/**
 * netconn.h - the library itself: its version, its log, its error texts, its end.
 *
 * Every function here may be called from any thread.
 */
#ifndef NETCONN_H
#define NETCONN_H

/** The version of these headers; netconn_version() tells that of the library. */
#define NETCONN_VERSION "0.1.0"
#define NETCONN_VERSION_MAJOR 0
#define NETCONN_VERSION_MINOR 1
#define NETCONN_VERSION_PATCH 0
/** 0xMMmmpp, to compare. */
#define NETCONN_VERSION_NUM 0x000100

/** How much a log line matters. */
enum netconn_log_level {
    /** Something failed that the program may not see otherwise: the reason for an EINVAL, say. */
    NETCONN_LOG_ERROR,
    /** Something works, but less well or less safely than it should. */
    NETCONN_LOG_WARN,
    /** What a person who runs the program may want to know. */
    NETCONN_LOG_INFO,
    /** Each change of state. */
    NETCONN_LOG_DEBUG
};

#ifdef __cplusplus
extern "C" {
#endif

/** The version of the library that is running, "1.2.3". Never NULL; valid for ever. */
const char *netconn_version(void);

/**
 * The OpenSSL that does the TLS, and whose it is: "OpenSSL 3.0.17 (system)" or "OpenSSL 3.0.17 (vendored)"; NULL in a
 * build without TLS. Valid for ever.
 *
 * A vendored copy is hidden inside this library: an `SSL *` or `SSL_CTX *` of this library must then not be given to
 * functions of another libssl.
 */
const char *netconn_openssl(void);

/**
 * What new loops wait with: "epoll" or "polling" (by choice with `NETCONN_POLLER=polling` in the environment, and where
 * there is no epoll). Never NULL; valid for ever.
 */
const char *netconn_poller(void);

/**
 * Sends the library's log lines to `cb`, with `level` one of `enum netconn_log_level`; `message` is one line without a
 * line break, valid during the call. NULL restores the default: stderr, at the level that `NETCONN_LOG` names in the
 * environment (error, warn, info, debug), and nothing where it is unset.
 *
 * `cb` gets every level, whatever `NETCONN_LOG` says. It may be called on any thread, on several at once, and inside
 * any call; of this library it may call `evloop_post` only. A line that another thread has begun may still reach the
 * old callback after this returned.
 */
void netconn_set_log(void (*cb)(int level, const char *message, void *arg), void *arg);

/**
 * The text of an error as this library reports it: an errno, or a resolver status (`EAI_*`, negative; where the
 * system's are positive, -10000 + `EAI_*`). Never NULL; valid for ever.
 */
const char *netconn_strerror(int error);

/**
 * Releases what the library keeps for the whole process, so that a leak checker is silent: every loop that nobody is
 * running, as `evloop_destroy_all`, and with it all that is attached; the resolver's threads and cache, and a resolver
 * of the program's own; the default TLS contexts and connection options; the log callbacks. The library can be used
 * again afterwards. Not from a callback.
 */
void netconn_cleanup(void);

#ifdef __cplusplus
}
#endif

#endif  /* NETCONN_H */
