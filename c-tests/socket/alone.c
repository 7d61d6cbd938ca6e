/* A program that includes socket/Socket.h and nothing else has the words and the number of an error, too. */
#include "socket/Socket.h"

#include <string.h>

int main(void) {
    volatile int bad = 1;
    TRY
        Socket_new(AF_INET, SOCK_RAW, 0);
    EXCEPT(Socket_Failed)
        bad = strcmp(Except_frame.exception->reason, Socket_GetLastError()) != 0 || Socket_geterrno() == 0;
    END_TRY;
    return bad;
}
