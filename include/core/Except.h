/**
 * core/Except.h - exceptions.
 *
 *     TRY
 *         Socket_connect(socket, host, port);
 *     EXCEPT(Socket_Failed)
 *         fprintf(stderr, "%s\n", Except_frame.exception->reason);
 *     FINALLY
 *         free(buffer);
 *     END_TRY;
 *
 * TRY S { EXCEPT(e) S } [ ELSE S ] [ FINALLY S ] END_TRY; where each S is any number of statements and declarations, with or
 * without braces. A raise jumps (longjmp) to the innermost TRY whose body runs on this thread; without one the program is
 * aborted, with a message. Locals that the body changes and that are read after a raise must be volatile.
 *
 * Exceptions are per thread. They must not pass through frames that cannot be jumped over: of another language, of a
 * library, of a signal's handler, and of callbacks of net_conn.h or evloop.h, where a raise aborts.
 */

#ifndef NETCONN_CORE_EXCEPT_H
#define NETCONN_CORE_EXCEPT_H

#include <setjmp.h>
#include <stddef.h>

#if defined(__cplusplus) && __cplusplus >= 201103L
#define EXCEPT_NORETURN [[noreturn]]
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define EXCEPT_NORETURN _Noreturn
#else
#define EXCEPT_NORETURN __attribute__((noreturn))
#endif

/** An exception object: `type` is its own address (the identity that EXCEPT compares), `reason` a text. */
typedef struct Except_T {
    /** The exported object that names the kind of exception. */
    const struct Except_T *type;
    /** What was wrong. */
    const char *reason;
} Except_T;

/** The longest reason that is copied, with its NUL; a longer one is kept by its address. */
#define EXCEPT_REASON_SIZE 1024

typedef struct Except_Frame Except_Frame;

/** A TRY whose body runs. */
struct Except_Frame {
    /** The enclosing one. */
    Except_Frame *prev;
    /** Where a raise jumps to. */
    jmp_buf env;
    /** Where it was raised: in a file, or by a function of the library (its name, and line 0). */
    const char *file;
    int line;
    /** What was raised: its type, and its reason. The address is this frame's; compare the type. */
    const Except_T *exception;
    Except_T raised;
    char reason[EXCEPT_REASON_SIZE];
};

/** What Except_flag tells, in a TRY. */
enum { Except_entered = 0, Except_raised, Except_handled, Except_finalized };

#ifdef __cplusplus
extern "C" {
#endif

/** The innermost TRY of this thread; NULL: none. A child of fork() sets it to NULL when it leaves its parent's frames. */
extern __thread Except_Frame *Except_stack;

/** An assertion failed. */
extern const Except_T Assert_Failed;

/**
 * Raises `e`: jumps to the innermost TRY, with its type and a copy of its reason. RAISE calls it. Never returns; aborts when
 * `e` is NULL and when no TRY waits. `file` is of static storage; NULL stands for "unknown", and a negative `line` for 0.
 */
EXCEPT_NORETURN void Except_raise(const Except_T *e, const char *file, int line);

#ifdef __cplusplus
}
#endif

/* Of the macros: a body was left, by whatever way. */
static inline void Except_leave(volatile Except_Frame *frame) {
    if (Except_stack == frame) Except_stack = frame->prev;
}

/** Raises the exception object `e`. */
#define RAISE(e) Except_raise(&(e), __FILE__, __LINE__)

/** In a handler: raises what it handles again, as it was. */
#define RERAISE Except_raise(Except_frame.exception, Except_frame.file, Except_frame.line)

/** Returns from inside a TRY: `RETURN;` or `RETURN value;`. (A plain return does, too.) */
#define RETURN \
    switch (Except_leave(&Except_frame), 0) \
    default: \
        return

/* However the body is left, its frame does not stay behind: not by return, goto or break either. */
#define TRY \
    do { \
        volatile int Except_flag; \
        volatile Except_Frame Except_frame __attribute__((cleanup(Except_leave))); \
        Except_frame.file = NULL; \
        Except_frame.line = 0; \
        Except_frame.exception = NULL; \
        Except_frame.prev = Except_stack; \
        Except_stack = (Except_Frame *)&Except_frame; \
        Except_flag = setjmp(((Except_Frame *)&Except_frame)->env); \
        if (Except_flag == Except_entered) {

/** Handles what was raised with this exported object as its type. */
#define EXCEPT(e) \
            Except_leave(&Except_frame); \
        } else if (Except_frame.exception->type == &(e)) { \
            Except_flag = Except_handled;

/** Handles everything else. */
#define ELSE \
            Except_leave(&Except_frame); \
        } else { \
            Except_flag = Except_handled;

/** Runs after the body, after a handler that was completed, and before END_TRY raises again what nobody handled. */
#define FINALLY \
            Except_leave(&Except_frame); \
        } \
        { \
            if (Except_flag == Except_entered) Except_flag = Except_finalized;

#define END_TRY \
            Except_leave(&Except_frame); \
        } \
        if (Except_flag == Except_raised) RERAISE; \
    } while (0)

#endif /* NETCONN_CORE_EXCEPT_H */
