#!/bin/sh
# Compares the public headers with the interface of the last release (packaging/abi/), and sees to it that the comparison
# would notice: each kind of change that breaks compiled programs is made in a copy of the headers and must be refused,
# each that does not must be let through.
set -u
cd "$(dirname "$0")/.." || exit 2
. scripts/claims.sh

machine=$(uname -m)
baseline=packaging/abi/$machine.abi
missing=
for tool in gcc abidw abidiff; do command -v $tool >/dev/null || missing="$tool is not installed"; done
[ -f "$baseline" ] || missing="there is no baseline for $machine"
if [ -n "$missing" ]; then
    skip "the interface of the last release" "$missing"
    sum_up
    exit
fi

claim "programs built against the last release run with these headers' library" \
    scripts/abi.sh compare "$baseline" "$PWD/include"

# ---- Would it notice? -----------------------------------------------------------------------------------------------

scripts/abi.sh write "$PWD/include" "$scratch/now.abi" || exit 2

# $1: the exit status that is due; $2: the header; the rest: sed's words for the change.
changed() {
    due=$1 header=$2
    shift 2
    rm -rf "$scratch/include"
    cp -r include "$scratch/include"
    sed -i "$@" "$scratch/include/$header"
    if cmp -s "include/$header" "$scratch/include/$header"; then
        echo "sed $* changes nothing in $header"
        return 1
    fi
    scripts/abi.sh compare "$scratch/now.abi" "$scratch/include"
    [ $? -eq "$due" ]
}
breaks() { what=$1; shift; claim "refused: $what" changed 1 "$@"; }
keeps() { what=$1; shift; claim "let through: $what" changed 0 "$@"; }

breaks "a function is gone" net_conn.h '/^void conn_close(/d'
breaks "a function has another name" netconn.h 's/netconn_poller(/netconn_backend(/'
breaks "a parameter is of another type" netconn.h 's/netconn_strerror(int /netconn_strerror(long /'
breaks "a parameter was added" evloop.h 's/^void evloop_break(struct ev_loop \*\([a-z]*\))/void evloop_break(struct ev_loop *\1, int how)/'
breaks "a parameter is gone" dns_cares.h 's/^int dns_init(.*);/int dns_init(void);/'
breaks "a result is of another type" net_conn.h 's/^ssize_t conn_try_read(/int conn_try_read(/'
breaks "a callback is of another type" evloop.h 's/(\*ev_io_cb_t)(int fd, int revents,/(*ev_io_cb_t)(int fd, short revents,/'
breaks "two members changed places" net_conn.h \
    '/^    double resolve_timeout;/d; s/^    double connect_timeout;/&\n    double resolve_timeout;/'
breaks "a member is of another type" net_conn.h 's/^    double keepalive;/    float keepalive;/'
breaks "a member was put between others" netconn_types.h 's/^    int64_t not_before;/    int64_t since;\n&/'
breaks "a member is gone" netconn_types.h '/^    char serial\[/d'
breaks "a member is of another type, in a struct that grew" net_conn.h \
    '/^struct conn_options {$/,/^};$/s/^};$/    double newer;\n};/; s/^    bool nodelay;/    int nodelay;/'
breaks "a value of an enum changed" net_conn.h 's/^    CONN_ERR_CONNECT,/    CONN_ERR_CONNECT = 20,/'
breaks "two values of an enum changed places" net_conn.h \
    -e 's/^    CONN_ERR_TLS,/    CONN_ERR_,/; s/^    CONN_ERR_CERTIFICATE,/    CONN_ERR_TLS,/; s/^    CONN_ERR_,/    CONN_ERR_CERTIFICATE,/'
breaks "a value was put between others" net_conn.h 's/^    CONN_READY,/    CONN_WAITING,\n&/'
breaks "a value is gone" netconn_tls.h '0,/^    NETCONN_TLS_VERIFY_[A-Z]*,/{/^    NETCONN_TLS_VERIFY_[A-Z]*,/d}'
breaks "a value of an enum changed that no function is declared with" netconn.h 's/^    NETCONN_LOG_WARN,/    NETCONN_LOG_WARN = 9,/'
breaks "a macro has another value" evloop.h 's/^#define EVLOOP_WRITE 2/#define EVLOOP_WRITE 4/'
breaks "a macro is gone" evloop.h '/^#define EVLOOP_WRITE/d'
breaks "an exception object is gone" core/Except.h '/^extern const Except_T Assert_Failed;/d'
breaks "an exception has a member more" core/Except.h 's/^    const char \*reason;/&\n    int more;/'
breaks "the frame that TRY makes is smaller" core/Except.h 's/^#define EXCEPT_REASON_SIZE .*/#define EXCEPT_REASON_SIZE 512/'
breaks "the soname is another one" netconn.h 's/^#define NETCONN_VERSION_MAJOR .*/#define NETCONN_VERSION_MAJOR 99/'

keeps "a new function" netconn.h 's/^void netconn_cleanup(void);/&\nint netconn_new(void);/'
keeps "a new value at an enum's end" net_conn.h '/^enum conn_error {$/,/^};$/s/^};$/    , CONN_ERR_NEW\n};/'
keeps "a new member at the end of a struct that tells its size" net_conn.h '/^struct conn_options {$/,/^};$/s/^};$/    double newer;\n};/'
keeps "a new macro" evloop.h 's/^#define EVLOOP_READ .*/&\n#define EVLOOP_NEW 64/'
keeps "another release" netconn.h 's/^#define NETCONN_VERSION_MINOR .*/#define NETCONN_VERSION_MINOR 99/'

sum_up
