/*
 * runs.h - programs that are not tests themselves: an example, a program in the style of long ago. FOLDER/NAME.build beside
 * the test FOLDER/NAME.c compiles them into $BUILD (see run.sh); here they are run, under the checker of this run.
 */
#ifndef NETCONN_TESTS_RUNS_H
#define NETCONN_TESTS_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct run {
    pid_t pid;
    int status;      /* its exit status, or 128 and the signal that ended it */
    char *out, *err; /* all that it wrote so far, terminated; on a terminal err comes with out */
    size_t out_len, err_len;
    int out_fd, err_fd;
};

/* Starts $BUILD/`name` with further arguments, ended by NULL. It is killed with the test. */
struct run *run_start(const char *name, ...);
/* The same, with a terminal of 80 columns as its standard error; standard output is a pipe. */
struct run *run_start_on_terminal(const char *name, ...);
/* Reads what it writes until `text` has been seen on standard error; fails the test when it ends before. */
void run_until_err(struct run *run, const char *text);
/* Reads until it ends. */
void run_wait(struct run *run);
/* run_start() and run_wait(). */
struct run *run_built(const char *name, ...);

/* It has ended, with this status; a failure shows what it wrote. A checker's verdict is another status. */
#define CHECK_STATUS(run, expected) run_check_status(__FILE__, __LINE__, (run), (expected))
void run_check_status(const char *file, int line, struct run *run, int expected);

/* slow(1) in digits: an option of seconds after which a program gives up, too many for what goes well. */
const char *a_second(void);

/* ---- Files that programs fetch ------------------------------------------------------------------------------------ */

/* temp_dir()/name, valid until the end of the test. */
char *temp_file(const char *name);
/* Makes temp_dir()/name of `size` bytes of the pattern, beginning at `offset` of it; returns its path. */
char *make_pattern_file(const char *name, size_t size, size_t offset);
/* Fails the test unless both files have the same bytes. */
void check_same_file(const char *file, int line, const char *actual, const char *expected);
#define CHECK_SAME_FILE(actual, expected) check_same_file(__FILE__, __LINE__, (actual), (expected))
/* The bytes of a file; -1 when there is none. */
long file_size(const char *path);

#endif
