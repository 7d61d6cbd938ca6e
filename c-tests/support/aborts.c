/* aborts.c - see aborts.h. */
#include "aborts.h"

#include "../harness.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 8191

const char *what_aborts(const char *file, int line, void (*fn)(void *arg), void *arg) {
    int ends[2];
    CHECK_INT(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    CHECK_CMP(pid, >=, 0);
    if (pid == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        fn(arg);
        _exit(0);
    }
    close(ends[1]);
    char *said = alloc(MOST + 1);
    size_t len = 0;
    for (;;) {
        ssize_t n = read(ends[0], said + len, MOST - len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        len += (size_t)n;
    }
    said[len] = '\0';
    close(ends[0]);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        test_fail(file, line, "the child did not abort, its status is %#x; it said: %s", status, said);
    return said;
}
