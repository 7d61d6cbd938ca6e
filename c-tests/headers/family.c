/*
 * Every function of the Socket family, declared once more with the type that programs were written for: one that drifts, in C
 * or in C++, fails to compile. Compiles as C99, C11 and C++ (scripts/check-headers.sh), and links, so that a function that a
 * header declares and the library lacks is found too.
 */
#include "core/Arena.h"
#include "core/SocketUtil.h"
#include "dns/SocketDNS.h"
#include "poll/SocketPoll.h"
#include "pool/SocketPool.h"
#include "socket/SocketBuf.h"
#include "socket/SocketIO.h"
#include "socket/SocketReconnect.h"
#include "tls/SocketTLSConfig.h"
#if SOCKET_HAS_TLS
#include "tls/SocketTLSContext.h"
#endif

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif
#define F(result, name, arguments) result name arguments;
#include "family.h"
#undef F
#ifdef __cplusplus
}
#endif

#define F(result, name, arguments) (void (*)(void))name,
static void (*const functions[])(void) = {
#include "family.h"
};

int main(void) {
    size_t there = 0, all = sizeof functions / sizeof *functions;
    for (size_t i = 0; i < all; i++) there += functions[i] != 0;
    printf("%zu functions of the headers are there\n", there);
    return there == all ? 0 : 1;
}
