#ifndef NETCONN_CORE_EXCEPT_H
#define NETCONN_CORE_EXCEPT_H

#include <setjmp.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct Except_T {
    const struct Except_T *type;
    const char *reason;
} Except_T;

#define EXCEPT_REASON_SIZE 1024

typedef struct Except_Frame Except_Frame;
struct Except_Frame {
    Except_Frame *prev;
    jmp_buf env;
    const char *file;
    int line;
    const Except_T *exception;
    Except_T raised;
    char reason[EXCEPT_REASON_SIZE];
};

enum { Except_entered = 0, Except_raised, Except_handled, Except_finalized };

extern __thread Except_Frame *Except_stack;
extern const Except_T Assert_Failed;

#if defined(__cplusplus)
[[noreturn]]
#else
_Noreturn
#endif
void Except_raise(const Except_T *e, const char *file, int line);

#ifdef __cplusplus
}
#endif

#endif
