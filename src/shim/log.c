/*
 * log.c - log lines: what is variadic, and what goes through the program's own stdio.
 */
#include "core/SocketLog.h"
#include "shim.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The longest line, with its NUL. */
#define LINE_SIZE 1024

void SocketLog_emitf(SocketLogLevel level, const char *component, const char *fmt, ...) {
    if (level < SocketLog_getlevel()) return;
    int before = errno;
    char line[LINE_SIZE] = "";
    va_list arguments;
    va_start(arguments, fmt);
    if (fmt && vsnprintf(line, sizeof line, fmt, arguments) >= (int)sizeof line) strcpy(line + sizeof line - 4, "...");
    va_end(arguments);
    errno = before;
    SocketLog_emit(level, component, line);
}

void shim_log_print(const char *level, int to_stderr, const char *component, const char *message) {
    char when[32] = "";
    time_t now = time(NULL);
    struct tm local;
    if (localtime_r(&now, &local)) strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &local);
    fprintf(to_stderr ? stderr : stdout, "%s [%s] %s: %s\n", when, level, component, message);
}
