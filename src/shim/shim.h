/*
 * shim.h - between the shim and Rust: src/capi/shim.rs declares the same. Nothing here is public.
 */
#ifndef NETCONN_SHIM_H
#define NETCONN_SHIM_H

#include "core/Except.h"

#include <stddef.h>

/* What was caught on its way out of a callback. */
struct shim_caught {
    const Except_T *type;
    const char *file; /* as the frame has it: of static storage */
    int line;
    char reason[EXCEPT_REASON_SIZE];
};

/* Runs `run(arg)` and stops what it raises: 0 when it returned, 1 when something was caught. */
int shim_catch(void (*run)(void *arg), void *arg, struct shim_caught *caught);

/* Raises: `reason` is copied. `place` names the function that a program called (static storage). */
_Noreturn void shim_raise(const Except_T *type, const char *reason, const char *place, int line);

/* The thread's message and error number, for Socket_GetLastError and Socket_geterrno; `of_tls`: for tls_error_buf, too. */
void shim_set_error(const char *text, size_t length, int error, int of_tls);
const char *shim_last_error(void);
int shim_last_errno(void);

/* A line of the log as it is printed where no callback is set. */
void shim_log_print(const char *level, int to_stderr, const char *component, const char *message);

/* Replaces the head of the thread's exception stack; the old one. */
Except_Frame *shim_swap_stack(Except_Frame *head);

#endif
