/* runs.c - see runs.h. */
#include "runs.h"

#include "../harness.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_ARGUMENTS = 400 };

static void end_run(void *arg) {
    struct run *run = arg;
    if (run->pid > 0) {
        kill(run->pid, SIGKILL);
        waitpid(run->pid, NULL, 0);
    }
    if (run->out_fd >= 0) close(run->out_fd);
    if (run->err_fd >= 0) close(run->err_fd);
    free(run->out);
    free(run->err);
    free(run);
}

static struct run *start(const char *name, va_list more, bool terminal) {
    const char *build = getenv("BUILD");
    if (!build) FAIL("BUILD is not set: run.sh sets it");
    char path[600];
    snprintf(path, sizeof path, "%s/%s", build, name);
    if (access(path, X_OK) != 0) FAIL("%s: %s", path, strerror(errno));
    /* $RUNNER is some words, for the shell to split. */
    const char *arguments[MOST_ARGUMENTS + 5] = {"sh", "-c", "exec $RUNNER \"$@\"", "sh", path};
    int n = 5;
    for (const char *argument; (argument = va_arg(more, const char *)) != NULL && n < MOST_ARGUMENTS;) arguments[n++] = argument;

    struct run *run = calloc(1, sizeof *run);
    CHECK(run != NULL);
    run->out = calloc(1, 1);
    run->err = calloc(1, 1);
    CHECK(run->out && run->err);
    int out[2], err[2];
    CHECK_INT(pipe2(out, O_CLOEXEC), 0);
    if (terminal) {
        struct winsize size = {.ws_row = 25, .ws_col = 80};
        err[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        CHECK(err[0] >= 0 && grantpt(err[0]) == 0 && unlockpt(err[0]) == 0);
        err[1] = open(ptsname(err[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
        CHECK(err[1] >= 0 && ioctl(err[1], TIOCSWINSZ, &size) == 0);
    } else {
        CHECK_INT(pipe2(err, O_CLOEXEC), 0);
    }
    pid_t parent = getpid();
    run->pid = fork();
    CHECK(run->pid >= 0);
    if (run->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(127);
        int input = open("/dev/null", O_RDONLY);
        dup2(input, 0);
        dup2(out[1], 1);
        dup2(err[1], 2);
        execv("/bin/sh", (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    close(out[1]);
    close(err[1]);
    run->out_fd = out[0];
    run->err_fd = err[0];
    run->status = -1;
    at_end(end_run, run);
    return run;
}

/* False: this one has ended. */
static bool take(int *fd, char **text, size_t *len) {
    char buf[65536];
    ssize_t n = read(*fd, buf, sizeof buf);
    if (n < 0 && errno == EINTR) return true;
    if (n <= 0) { /* a terminal that nobody has open gives EIO */
        close(*fd);
        *fd = -1;
        return false;
    }
    *text = realloc(*text, *len + (size_t)n + 1);
    CHECK(*text != NULL);
    memcpy(*text + *len, buf, (size_t)n);
    *len += (size_t)n;
    (*text)[*len] = 0;
    return true;
}

static bool take_some(struct run *run) {
    if (run->out_fd < 0 && run->err_fd < 0) return false;
    struct pollfd both[2] = {{run->out_fd, POLLIN, 0}, {run->err_fd, POLLIN, 0}};
    if (poll(both, 2, -1) < 0) return true;
    if (both[0].revents) take(&run->out_fd, &run->out, &run->out_len);
    if (both[1].revents) take(&run->err_fd, &run->err, &run->err_len);
    return true;
}

void run_until_err(struct run *run, const char *text) {
    while (!strstr(run->err, text))
        if (!take_some(run)) FAIL("it ended without \"%s\": %s", text, run->err);
}

void run_wait(struct run *run) {
    while (take_some(run)) {}
    int status;
    while (waitpid(run->pid, &status, 0) < 0) CHECK_INT(errno, EINTR);
    run->pid = -1;
    run->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct run *run_start(const char *name, ...) {
    va_list more;
    va_start(more, name);
    struct run *run = start(name, more, false);
    va_end(more);
    return run;
}

struct run *run_start_on_terminal(const char *name, ...) {
    va_list more;
    va_start(more, name);
    struct run *run = start(name, more, true);
    va_end(more);
    return run;
}

struct run *run_built(const char *name, ...) {
    va_list more;
    va_start(more, name);
    struct run *run = start(name, more, false);
    va_end(more);
    run_wait(run);
    return run;
}

void run_check_status(const char *file, int line, struct run *run, int expected) {
    test_at(file, line);
    if (run->status == expected) return;
    /* The end says most. */
    const char *err = run->err_len > 1800 ? run->err + run->err_len - 1800 : run->err;
    test_fail(file, line, "exit status %d, expected %d; standard error: %s", run->status, expected, err);
}

const char *a_second(void) {
    char *text = alloc(16);
    snprintf(text, 16, "%g", slow(1));
    return text;
}

/* ---- Files ---------------------------------------------------------------------------------------------------------- */

char *temp_file(const char *name) {
    size_t len = strlen(temp_dir()) + strlen(name) + 2;
    char *path = alloc(len);
    snprintf(path, len, "%s/%s", temp_dir(), name);
    return path;
}

char *make_pattern_file(const char *name, size_t size, size_t offset) {
    char *path = temp_file(name), buf[65536];
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    for (size_t done = 0; done < size;) {
        size_t n = size - done < sizeof buf ? size - done : sizeof buf;
        fill_pattern(buf, n, offset + done);
        CHECK_INT(fwrite(buf, 1, n, file), n);
        done += n;
    }
    CHECK_INT(fclose(file), 0);
    return path;
}

void check_same_file(const char *file, int line, const char *actual, const char *expected) {
    test_at(file, line);
    FILE *a = fopen(actual, "r"), *b = fopen(expected, "r");
    if (!a || !b) test_fail(file, line, "%s: %s", a ? expected : actual, strerror(errno));
    static char one[65536], other[65536];
    for (long offset = 0;;) {
        size_t n = fread(one, 1, sizeof one, a), m = fread(other, 1, sizeof other, b);
        if (n != m) test_fail(file, line, "%s has %ld bytes, %s has %ld", actual, file_size(actual), expected, file_size(expected));
        for (size_t i = 0; i < n; i++)
            if (one[i] != other[i]) test_fail(file, line, "%s and %s differ from byte %ld on", actual, expected, offset + (long)i);
        if (n == 0) break;
        offset += (long)n;
    }
    fclose(a);
    fclose(b);
}

long file_size(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? (long)st.st_size : -1;
}
