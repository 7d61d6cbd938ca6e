/**
 * core/SocketLog.h - the log: lines with a level and the name of the component that tells them.
 */

#ifndef NETCONN_CORE_SOCKETLOG_H
#define NETCONN_CORE_SOCKETLOG_H

/** How much a line matters. */
typedef enum SocketLogLevel {
    /** Each step. */
    SOCKET_LOG_TRACE = 0,
    /** For whoever looks for a fault. */
    SOCKET_LOG_DEBUG,
    /** What a person who runs the program may want to know. */
    SOCKET_LOG_INFO,
    /** Something works, but less well than it should. */
    SOCKET_LOG_WARN,
    /** Something failed. */
    SOCKET_LOG_ERROR,
    /** The program cannot go on. */
    SOCKET_LOG_FATAL = 5
} SocketLogLevel;

/**
 * Called with each line that is not below the level: on any thread, on several at once, and inside any call. The texts
 * are valid during the call.
 */
typedef void (*SocketLogCallback)(void *userdata, SocketLogLevel level, const char *component, const char *message);

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Sends all lines to `callback`; NULL restores the default: up to WARN to stdout, ERROR and FATAL to stderr. Lines of
 * the library's own go to the callback too, as those of "netconn", unless netconn_set_log has set one for them. What it
 * raises leaves the call that said the line; a line of the library's own is said all the same. Any thread.
 */
void SocketLog_setcallback(SocketLogCallback callback, void *userdata);

/** The callback that is set, and through `userdata`, which may be NULL, its argument; NULL where there is none. */
SocketLogCallback SocketLog_getcallback(void **userdata);

/** Lines below this level are not said; SOCKET_LOG_INFO at first. Any thread. */
void SocketLog_setlevel(SocketLogLevel min_level);

/** What SocketLog_setlevel has set. */
SocketLogLevel SocketLog_getlevel(void);

/** "TRACE", "DEBUG", "INFO", "WARN", "ERROR" or "FATAL"; "UNKNOWN" for another number. */
const char *SocketLog_levelname(SocketLogLevel level);

/** Says a line, unless its level is below the one that is set. NULL stands for an empty text. */
void SocketLog_emit(SocketLogLevel level, const char *component, const char *message);

/** Says a line in the manner of printf, unless its level is below the one that is set. Longer than 1023 bytes it ends in
 *  "...". A `component` of NULL is empty. */
void SocketLog_emitf(SocketLogLevel level, const char *component, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif

/** Whose lines those of the macros are; a file may define its own before it includes this, or afterwards anew. */
#ifndef SOCKET_LOG_COMPONENT
#define SOCKET_LOG_COMPONENT "Socket"
#endif

/** Say a line: a format of printf and its arguments. */
#define SOCKET_LOG_TRACE_MSG(...) SocketLog_emitf(SOCKET_LOG_TRACE, SOCKET_LOG_COMPONENT, __VA_ARGS__)
#define SOCKET_LOG_DEBUG_MSG(...) SocketLog_emitf(SOCKET_LOG_DEBUG, SOCKET_LOG_COMPONENT, __VA_ARGS__)
#define SOCKET_LOG_INFO_MSG(...) SocketLog_emitf(SOCKET_LOG_INFO, SOCKET_LOG_COMPONENT, __VA_ARGS__)
#define SOCKET_LOG_WARN_MSG(...) SocketLog_emitf(SOCKET_LOG_WARN, SOCKET_LOG_COMPONENT, __VA_ARGS__)
#define SOCKET_LOG_ERROR_MSG(...) SocketLog_emitf(SOCKET_LOG_ERROR, SOCKET_LOG_COMPONENT, __VA_ARGS__)
#define SOCKET_LOG_FATAL_MSG(...) SocketLog_emitf(SOCKET_LOG_FATAL, SOCKET_LOG_COMPONENT, __VA_ARGS__)

#endif /* NETCONN_CORE_SOCKETLOG_H */
