/* SocketLog.h: levels, formats and their length, the callback, where lines go without one. */
#include "../harness.h"
#include "../support/runs.h"
#include "core/Except.h"
#include "core/SocketLog.h"
#include "evloop.h"
#include "net_conn.h"
#include "netconn.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static const Except_T Mine = {&Mine, "one of mine"};
static char lines[4000];

static void note(void *userdata, SocketLogLevel level, const char *component, const char *message) {
    size_t length = strlen(lines);
    snprintf(lines + length, sizeof lines - length, "%s %d %s: %s\n", (char *)userdata, (int)level, component, message);
}

TEST(levels_have_numbers_and_names) {
    static const char *const names[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"};
    CHECK_INT(SOCKET_LOG_TRACE, 0);
    CHECK_INT(SOCKET_LOG_FATAL, 5);
    for (int i = 0; i < 6; i++) CHECK_STR(SocketLog_levelname((SocketLogLevel)i), names[i]);
    CHECK_STR(SocketLog_levelname((SocketLogLevel)6), "UNKNOWN");
    CHECK_INT(SocketLog_getlevel(), SOCKET_LOG_INFO);
}

TEST(the_callback_gets_what_is_not_below_the_level) {
    void *userdata = &userdata;
    CHECK(SocketLog_getcallback(&userdata) == NULL);
    CHECK_PTR_NULL(userdata);
    SocketLog_setcallback(note, "to");
    CHECK(SocketLog_getcallback(&userdata) == note);
    CHECK_STR(userdata, "to");
    CHECK(SocketLog_getcallback(NULL) == note);
    SOCKET_LOG_TRACE_MSG("one");
    SOCKET_LOG_DEBUG_MSG("two");
    SOCKET_LOG_INFO_MSG("three");
    SOCKET_LOG_WARN_MSG("%s %d", "four", 4);
#undef SOCKET_LOG_COMPONENT
#define SOCKET_LOG_COMPONENT "Mine"
    SOCKET_LOG_ERROR_MSG("five");
    SOCKET_LOG_FATAL_MSG("%c", '6');
    SocketLog_setlevel(SOCKET_LOG_TRACE);
    CHECK_INT(SocketLog_getlevel(), SOCKET_LOG_TRACE);
    SOCKET_LOG_TRACE_MSG("seven");
    SOCKET_LOG_DEBUG_MSG("eight");
    SocketLog_emit(SOCKET_LOG_INFO, NULL, NULL);
    CHECK_STR(lines, "to 2 Socket: three\nto 3 Socket: four 4\nto 4 Mine: five\nto 5 Mine: 6\n"
                     "to 0 Mine: seven\nto 1 Mine: eight\nto 2 : \n");
}

TEST(a_long_message_ends_in_dots) {
    static char text[3000];
    SocketLog_setcallback(note, "l");
    for (size_t length = 1022; length < 1026; length++) {
        memset(text, 'x', sizeof text);
        text[length] = '\0';
        lines[0] = '\0';
        SocketLog_emitf(SOCKET_LOG_ERROR, "C", "%s", text);
        size_t due = length <= 1023 ? length : 1023;
        CHECK_INT(strlen(lines), strlen("l 4 C: \n") + due);
        CHECK_STR(lines + strlen(lines) - 4, length <= 1023 ? "xxx\n" : "...\n");
    }
    SocketLog_setcallback(NULL, NULL);
}

static void raise_it(void *userdata, SocketLogLevel level, const char *component, const char *message) {
    (void)userdata, (void)level, (void)component, (void)message;
    RAISE(Mine);
}

TEST(what_the_callback_raises_leaves_the_call) {
    volatile int caught = 0;
    SocketLog_setcallback(raise_it, NULL);
    TRY SOCKET_LOG_ERROR_MSG("x"); EXCEPT (Mine) caught++; END_TRY;
    TRY SocketLog_emit(SOCKET_LOG_ERROR, "C", "x"); EXCEPT (Mine) caught++; END_TRY;
    CHECK_INT(caught, 2);
    CHECK_PTR_NULL(Except_stack);
    SocketLog_setcallback(NULL, NULL);
}

TEST(errno_is_kept) {
    SocketLog_setcallback(note, "e");
    errno = EXDEV;
    SOCKET_LOG_INFO_MSG("%d", errno);
    CHECK_INT(errno, EXDEV);
    SocketLog_setcallback(NULL, NULL);
}

static void on_line(int level, const char *message, void *arg) {
    (void)level, (void)message;
    ++*(int *)arg;
}

TEST(lines_of_the_library_go_to_the_callback_unless_they_have_one) {
    int own = 0;
    SocketLog_setcallback(note, "n");
    /* EINVAL, and the log says why. */
    CHECK_NULL_ERRNO(conn_new(evloop_get_default(), NULL, "1", false, NULL, NULL, NULL), EINVAL);
    CHECK_CONTAINS(lines, "n 4 netconn: EINVAL: the host is NULL\n");
    lines[0] = '\0';
    SocketLog_setlevel(SOCKET_LOG_FATAL);
    CHECK_NULL_ERRNO(conn_new(evloop_get_default(), NULL, "1", false, NULL, NULL, NULL), EINVAL);
    CHECK_STR(lines, "");
    SocketLog_setlevel(SOCKET_LOG_TRACE);
    netconn_set_log(on_line, &own);
    CHECK_NULL_ERRNO(conn_new(evloop_get_default(), NULL, "1", false, NULL, NULL, NULL), EINVAL);
    CHECK_STR(lines, "");
    CHECK_CMP(own, >=, 1);
    netconn_set_log(NULL, NULL);
    SocketLog_setcallback(raise_it, NULL);
    CHECK_NULL_ERRNO(conn_new(evloop_get_default(), NULL, "1", false, NULL, NULL, NULL), EINVAL);
    SocketLog_setcallback(NULL, NULL);
    CHECK_NULL_ERRNO(conn_new(evloop_get_default(), NULL, "1", false, NULL, NULL, NULL), EINVAL);
    CHECK_STR(lines, "");
}

/* What `file` (stdout or stderr) gets of a warning and an error. */
static void prints(FILE *file, const char *name, char *got, size_t size) {
    char *path = temp_file(name);
    fflush(NULL);
    int before = dup(fileno(file));
    CHECK_CMP(before, >=, 0);
    FILE *f = fopen(path, "w+");
    CHECK_PTR_NOT_NULL(f);
    CHECK_CMP(dup2(fileno(f), fileno(file)), >=, 0);
    SOCKET_LOG_DEBUG_MSG("debugging");
    SOCKET_LOG_WARN_MSG("a warning");
    SocketLog_emitf(SOCKET_LOG_ERROR, "Other", "an error");
    fflush(NULL);
    CHECK_CMP(dup2(before, fileno(file)), >=, 0);
    close(before);
    rewind(f);
    got[fread(got, 1, size - 1, f)] = '\0';
    fclose(f);
}

TEST(without_a_callback_lines_go_to_stdout_and_errors_to_stderr) {
    char out[500], err[500];
    prints(stdout, "out", out, sizeof out);
    prints(stderr, "err", err, sizeof err);
    CHECK_CONTAINS(out, " [WARN] Mine: a warning\n");
    CHECK(strstr(out, "error") == NULL && strstr(out, "debugging") == NULL);
    CHECK_CONTAINS(err, " [ERROR] Other: an error\n");
    CHECK(strstr(err, "warning") == NULL);
}

TEST_MAIN
