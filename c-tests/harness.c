/*
 * harness.c - see harness.h. The parent forks a process for each test and learns from a shared page what it has to say.
 */
#include "harness.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum verdict { RUNNING, PASSED, FAILED, SKIPPED, LEFT_OUT };

/* What a test tells its parent. A page of shared memory and not a pipe, so that a test's fds are all its own. */
struct report {
    volatile int verdict;
    volatile double limit;
    volatile int line;
    const char *volatile file; /* the same address in parent and child: the child is forked */
    char message[3000];
};

/* Weak: a program that tests only a pure header, or the harness itself, links without the library. */
extern void netconn_cleanup(void) __attribute__((weak));

static struct test_case *first_test, **last_link = &first_test;
static struct report *report;
static char temp_path[64];

static struct ending {
    void (*fn)(void *);
    void *arg;
    struct ending *next;
} *endings;

/* ---- In a test's process ----------------------------------------------------------------------------------------- */

void test_register(struct test_case *test) {
    *last_link = test;
    last_link = &test->next;
}

void test_at(const char *file, int line) {
    report->file = file;
    report->line = line;
}

static double slow_factor(void) {
    const char *text = getenv("NETCONN_TEST_SLOW");
    double factor = text ? atof(text) : 1;
    return factor > 1 ? factor : 1;
}

double slow(double seconds) { return seconds * slow_factor(); }

void test_limit(double seconds) { report->limit = slow(seconds); }

/* Ends the process without exit handlers: what a failed or skipped test has not freed is no finding of its own. */
static void __attribute__((noreturn)) finish(enum verdict verdict, const char *message) {
    /* The first verdict stands: a peer's process or thread may fail because the test already has. */
    int expected = RUNNING;
    if (__atomic_compare_exchange_n(&report->verdict, &expected, (int)verdict, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        snprintf(report->message, sizeof report->message, "%s", message);
    _exit(verdict == FAILED ? 1 : 0);
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void test_fail(const char *file, int line, const char *format, ...) {
    char message[2500], whole[2900];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    snprintf(whole, sizeof whole, "%s:%d: %s", base_name(file), line, message);
    finish(FAILED, whole);
}

void test_skip(const char *format, ...) {
    char message[2500];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    finish(SKIPPED, message);
}

void test_needs_tls(bool with) {
    const char *tls = getenv("NETCONN_TEST_TLS");
    bool has = !tls || strcmp(tls, "0") != 0;
    if (has != with) finish(LEFT_OUT, with ? "needs TLS" : "is about a build without TLS");
}

void test_check_int(const char *file, int line, const char *what, long long actual, long long expected, const char *expected_text) {
    test_at(file, line);
    if (actual != expected)
        test_fail(file, line, "%s is %lld, expected %s (%lld); errno: %s", what, actual, expected_text, expected, strerror(errno));
}

void test_check_str(const char *file, int line, const char *what, const char *actual, const char *expected) {
    test_at(file, line);
    if (actual == NULL && expected == NULL) return;
    if (actual == NULL || expected == NULL || strcmp(actual, expected) != 0)
        test_fail(file, line, "%s is %s%s%s, expected %s%s%s", what, actual ? "\"" : "", actual ? actual : "NULL",
                  actual ? "\"" : "", expected ? "\"" : "", expected ? expected : "NULL", expected ? "\"" : "");
}

void test_check_contains(const char *file, int line, const char *what, const char *actual, const char *part) {
    test_at(file, line);
    if (actual == NULL) test_fail(file, line, "%s is NULL, expected a text with \"%s\"", what, part);
    if (strstr(actual, part) == NULL) test_fail(file, line, "%s is \"%s\", expected \"%s\" in it", what, actual, part);
}

void test_check_mem(const char *file, int line, const char *what, const void *actual, const void *expected, size_t size) {
    const unsigned char *a = actual, *b = expected;
    test_at(file, line);
    for (size_t i = 0; i < size; i++)
        if (a[i] != b[i]) test_fail(file, line, "%s: byte %zu of %zu is 0x%02x, expected 0x%02x", what, i, size, a[i], b[i]);
}

void test_check_ptr(const char *file, int line, const char *what, const void *actual, const void *expected) {
    test_at(file, line);
    if (actual != expected) test_fail(file, line, "%s is %p, expected %p", what, actual, expected);
}

void test_check_errno(const char *file, int line, const char *what, int failed, long long result, int error, int expected) {
    test_at(file, line);
    if (!failed) test_fail(file, line, "%s gave %lld, expected a failure with \"%s\"", what, result, strerror(expected));
    if (error != expected)
        test_fail(file, line, "%s failed with errno \"%s\", expected \"%s\"", what, strerror(error), strerror(expected));
}

static bool is_set(const char *variable) {
    const char *text = getenv(variable);
    return text && *text && strcmp(text, "0") != 0;
}

int small(int n, int n_small) { return is_set("NETCONN_TEST_SMALL") ? n_small : n; }

int load(int n, int n_debug, int n_small) { return small(is_set("NETCONN_TEST_DEBUG") ? n_debug : n, n_small); }

double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void at_end(void (*fn)(void *), void *arg) {
    struct ending *ending = malloc(sizeof *ending);
    if (!ending) test_fail(__FILE__, __LINE__, "out of memory");
    *ending = (struct ending){fn, arg, __atomic_load_n(&endings, __ATOMIC_SEQ_CST)};
    /* Peers' threads come here, too. */
    while (!__atomic_compare_exchange_n(&endings, &ending->next, ending, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {}
}

void *alloc(size_t size) {
    void *memory = calloc(1, size ? size : 1);
    if (!memory) test_fail(__FILE__, __LINE__, "out of memory");
    at_end(free, memory);
    return memory;
}

const char *cert(const char *file) {
    test_needs_tls(true);
    const char *dir = getenv("NETCONN_TEST_CERTS");
    if (!dir || !*dir) test_skip("NETCONN_TEST_CERTS names no directory (cargo run -p xtask -- certs DIR makes one)");
    size_t size = strlen(dir) + strlen(file) + 2;
    char *path = alloc(size);
    snprintf(path, size, "%s/%s", dir, file);
    if (access(path, R_OK) != 0) test_fail(__FILE__, __LINE__, "there is no test certificate %s", path);
    return path;
}

const char *temp_dir(void) { return temp_path; }

static int count_entries(const char *path) {
    DIR *dir = opendir(path);
    if (!dir) test_fail(__FILE__, __LINE__, "%s: %s", path, strerror(errno));
    int n = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (entry->d_name[0] != '.') n++;
    closedir(dir);
    return n;
}

int fd_count(void) { return count_entries("/proc/self/fd") - 1; /* the directory itself */ }

int thread_count(void) { return count_entries("/proc/self/task"); }

void test_check_fds(const char *file, int line, int before) {
    test_at(file, line);
    int after = fd_count();
    if (after == before) return;
    char text[2000] = "", path[64], target[256];
    for (int fd = 0; fd < 1024; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, target, sizeof target - 1);
        if (n < 0) continue;
        target[n] = 0;
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, " %d=%s", fd, target);
    }
    test_fail(file, line, "%d fds are open, expected %d:%s", after, before, text);
}

/* splitmix64 of the position: any byte can be computed alone. */
static unsigned char pattern_at(uint64_t position) {
    uint64_t z = (position / 8 + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (unsigned char)(z >> (position % 8 * 8));
}

void fill_pattern(void *buf, size_t len, uint64_t offset) {
    unsigned char *bytes = buf;
    for (size_t i = 0; i < len; i++) bytes[i] = pattern_at(offset + i);
}

long find_pattern_error(const void *buf, size_t len, uint64_t offset) {
    const unsigned char *bytes = buf;
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != pattern_at(offset + i)) return (long)i;
    return -1;
}

/* The last one, off the list; NULL: there is none. One thread takes. */
static struct ending *take_ending(void) {
    struct ending *last = __atomic_load_n(&endings, __ATOMIC_SEQ_CST);
    while (last && !__atomic_compare_exchange_n(&endings, &last, last->next, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {}
    return last;
}

static void __attribute__((noreturn)) run_body(struct test_case *test) {
    errno = 0;
    test->body();
    for (struct ending *ending; (ending = take_ending()) != NULL;) {
        ending->fn(ending->arg);
        free(ending);
    }
    if (netconn_cleanup) netconn_cleanup();
    int expected = RUNNING;
    __atomic_compare_exchange_n(&report->verdict, &expected, PASSED, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    fflush(NULL);
    exit(expected == RUNNING ? 0 : 1); /* not _exit: a leak checker speaks now */
}

/* ---- In the parent ----------------------------------------------------------------------------------------------- */

static void remove_tree(const char *path) {
    DIR *dir = opendir(path);
    if (!dir) return;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        char inner[PATH_MAX];
        struct stat status;
        if (snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) >= (int)sizeof inner) continue;
        if (lstat(inner, &status) == 0 && S_ISDIR(status.st_mode)) remove_tree(inner);
        else unlink(inner);
    }
    closedir(dir);
    rmdir(path);
}

/* Waits for the child within its limit, which it may change while it runs. False: the time was up, and it was killed. */
static bool wait_for(pid_t pid, int *status) {
    double start = now();
    sigset_t child_signal;
    sigemptyset(&child_signal);
    sigaddset(&child_signal, SIGCHLD);
    for (;;) {
        if (waitpid(pid, status, WNOHANG) == pid) return true;
        double left = report->limit - (now() - start);
        if (left <= 0) {
            kill(-pid, SIGKILL);
            kill(pid, SIGKILL);
            waitpid(pid, status, 0);
            return false;
        }
        if (left > 1) left = 1; /* the child may have changed its limit */
        struct timespec wait = {(time_t)left, (long)((left - (double)(time_t)left) * 1e9)};
        sigtimedwait(&child_signal, NULL, &wait);
    }
}

#ifdef __SANITIZE_ADDRESS__
/*
 * AddressSanitizer's allocator has locks that fork does not take: a child of a process in which another thread (a peer's,
 * a resolver's) is just allocating would wait for ever. So each child allocates first, and one that gets stuck is ended and
 * forked anew. Tests see a fork that works, as they do everywhere else.
 */
static void allocate_of_each_size(void) {
    enum { EACH = 300 };
    static const size_t most = 1 << 16;
    for (size_t size = 16; size <= most; size *= 2) {
        void *blocks[EACH];
        int count = size <= 2048 ? EACH : 8;
        for (int i = 0; i < count; i++) blocks[i] = malloc(size + size / 4);
        for (int i = 0; i < count; i++) free(blocks[i]);
    }
}

static void *nothing(void *arg) { return arg; }

pid_t fork(void) {
    pid_t (*real)(void);
    *(void **)&real = dlsym(RTLD_NEXT, "fork");
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return real();
    for (int wait = 2000;; wait *= 2) {
        pid_t pid = real();
        if (pid == 0) {
            pthread_t thread;
            allocate_of_each_size();
            if (pthread_create(&thread, NULL, nothing, NULL) == 0) pthread_join(thread, NULL);
            bool told = write(ends[1], "", 1) == 1;
            close(ends[0]);
            close(ends[1]);
            if (!told) _exit(127);
            return 0;
        }
        struct pollfd answer = {ends[0], POLLIN, 0};
        int ready = 1, error = errno;
        if (pid > 0) do ready = poll(&answer, 1, wait);
        while (ready < 0 && errno == EINTR);
        if (ready != 0 || wait > 30000) {
            close(ends[0]);
            close(ends[1]);
            errno = error;
            return pid;
        }
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
}
#endif

static enum verdict run_test(struct test_case *test) {
    *report = (struct report){.limit = slow(30)};
    snprintf(temp_path, sizeof temp_path, "/tmp/netconn-test-XXXXXX");
    if (!mkdtemp(temp_path)) {
        printf("FAIL %s: no temporary directory: %s\n", test->name, strerror(errno));
        return FAILED;
    }
    sigset_t child_signal, before;
    sigemptyset(&child_signal);
    sigaddset(&child_signal, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child_signal, &before);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0); /* so that whatever the test started can be ended with it */
        sigprocmask(SIG_SETMASK, &before, NULL);
        run_body(test);
    }
    if (pid < 0) {
        printf("FAIL %s: fork: %s\n", test->name, strerror(errno));
        remove_tree(temp_path);
        return FAILED;
    }
    setpgid(pid, pid);
    int status = 0;
    bool ended = wait_for(pid, &status);
    kill(-pid, SIGKILL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    remove_tree(temp_path);

    char where[300] = "";
    if (report->file) snprintf(where, sizeof where, "; last check at %s:%d", base_name(report->file), report->line);
    if (report->verdict == FAILED) {
        printf("FAIL %s: %s\n", test->name, report->message);
    } else if (!ended) {
        printf("FAIL %s: still running after %.0f s%s\n", test->name, report->limit, where);
    } else if (WIFSIGNALED(status)) {
        printf("FAIL %s: killed by signal %d (%s)%s\n", test->name, WTERMSIG(status), strsignal(WTERMSIG(status)), where);
    } else if (report->verdict == SKIPPED) {
        const char *strict = getenv("SKIPS_AS_FAILS");
        if (strict && strcmp(strict, "1") == 0) {
            printf("FAIL %s: skipped: %s\n", test->name, report->message);
            return FAILED;
        }
        printf("skip %s: %s\n", test->name, report->message);
        return SKIPPED;
    } else if (report->verdict == LEFT_OUT) {
        printf("-- %s: %s\n", test->name, report->message);
        return LEFT_OUT;
    } else if (report->verdict != PASSED) {
        printf("FAIL %s: left with exit status %d before its end%s\n", test->name, WEXITSTATUS(status), where);
    } else if (WEXITSTATUS(status) != 0) {
        printf("FAIL %s: the checks passed, but the memory checker found something (exit status %d)\n", test->name, WEXITSTATUS(status));
    } else {
        printf("ok %s\n", test->name);
        return PASSED;
    }
    return FAILED;
}

/* Of support/peers.c, in programs that have peers; a program that wants OpenSSL untouched has `stays_cold`. */
extern void warm_up(void) __attribute__((weak));
extern const bool stays_cold __attribute__((weak));

int test_main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 2 && strcmp(argv[1], "-l") == 0) {
        for (struct test_case *test = first_test; test; test = test->next) puts(test->name);
        return 0;
    }
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    if (warm_up && !&stays_cold) warm_up();
    int counts[5] = {0, 0, 0, 0, 0}, selected = 0;
    for (struct test_case *test = first_test; test; test = test->next) {
        bool run = argc < 2;
        for (int i = 1; i < argc; i++)
            if (strcmp(argv[i], test->name) == 0) run = true;
        if (!run) continue;
        selected++;
        counts[run_test(test)]++;
    }
    if (selected == 0) {
        fprintf(stderr, "%s: no such test (-l lists them)\n", argv[0]);
        return 2;
    }
    printf("%s: %d passed, %d failed, %d skipped\n", base_name(argv[0]), counts[PASSED], counts[FAILED], counts[SKIPPED]);
    return counts[FAILED] ? 1 : 0;
}
