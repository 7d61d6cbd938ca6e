/*
 * except.c - exceptions: the thread's stack of frames, raising, and the catch-all around callbacks. Raising is a longjmp, so
 * it starts here and never in a frame that owns something.
 */
#include "shim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__thread Except_Frame *Except_stack;
__thread char socket_error_buf[1024];
__thread int socket_last_errno;
__thread char tls_error_buf[512];

const Except_T Assert_Failed = {&Assert_Failed, "Assertion failed"};

void Except_raise(const Except_T *e, const char *file, int line) {
    if (!file) file = "unknown";
    if (line < 0) line = 0;
    if (!e) {
        fprintf(stderr, "netconn: Except_raise: the exception is NULL, at %s:%d\n", file, line);
        fflush(stderr);
        abort();
    }
    Except_Frame *frame = Except_stack;
    if (!frame) {
        fprintf(stderr, "netconn: uncaught exception: %s, raised at %s:%d\n", e->reason ? e->reason : "(no reason)", file, line);
        fflush(stderr);
        abort();
    }
    /* From here on the enclosing frame is the innermost: what the handler raises goes outward. */
    Except_stack = frame->prev;
    const char *reason = e->reason;
    /* The text may be the thread's message, which a nested raise replaces, or stand in a frame that is about to end. */
    if (reason) {
        size_t length = strlen(reason);
        if (length < sizeof frame->reason) reason = memmove(frame->reason, reason, length + 1);
    }
    frame->raised.type = e->type;
    frame->raised.reason = reason;
    frame->exception = &frame->raised;
    frame->file = file;
    frame->line = line;
    longjmp(frame->env, Except_raised);
}

int shim_catch(void (*run)(void *arg), void *arg, struct shim_caught *caught) {
    Except_Frame frame;
    frame.prev = Except_stack;
    frame.file = NULL;
    frame.line = 0;
    frame.exception = NULL;
    Except_stack = &frame;
    if (setjmp(frame.env) == Except_entered) {
        run(arg);
        Except_stack = frame.prev;
        return 0;
    }
    caught->type = frame.raised.type;
    caught->file = frame.file;
    caught->line = frame.line;
    snprintf(caught->reason, sizeof caught->reason, "%s", frame.raised.reason ? frame.raised.reason : "");
    return 1;
}

void shim_raise(const Except_T *type, const char *reason, const char *place, int line) {
    Except_T raised = {type, reason};
    Except_raise(&raised, place, line);
}

static void keep(char *buffer, size_t size, const char *text, size_t length) {
    if (length >= size) length = size - 1;
    memmove(buffer, text, length);
    buffer[length] = '\0';
}

void shim_set_error(const char *text, size_t length, int error, int of_tls) {
    keep(socket_error_buf, sizeof socket_error_buf, text, length);
    socket_last_errno = error;
    if (of_tls) keep(tls_error_buf, sizeof tls_error_buf, text, length);
}

Except_Frame *shim_swap_stack(Except_Frame *head) {
    Except_Frame *before = Except_stack;
    Except_stack = head;
    return before;
}

const char *shim_last_error(void) { return socket_error_buf; }
int shim_last_errno(void) { return socket_last_errno; }
