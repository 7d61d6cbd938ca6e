# Read by the scripts that install netconn somewhere: uses it from there by pkg-config and CMake, shared and static, as a
# C programmer would. claims.sh is read before.

is_shared() { readelf -d "$1" | grep -q "NEEDED.*libnetconn\.so\.$(netconn_major)\]"; }
is_static() { ! readelf -d "$1" | grep -q 'NEEDED.*libnetconn'; }
netconn_major() { sed -n 's/^#define NETCONN_VERSION_MAJOR //p' include/netconn.h; }

# A user's pkg-config, also where the libraries were built as if there were none.
case ${PKG_CONFIG:-pkg-config} in false) user_pkg_config=pkg-config ;; *) user_pkg_config=${PKG_CONFIG:-pkg-config} ;; esac

# $1: the directory of the libraries; then pkg-config's words. What the system has is still found.
ask_pkg_config() {
    modules=$1/pkgconfig
    shift
    PKG_CONFIG_PATH=$modules $user_pkg_config "$@"
}

# $1: the directory of the libraries, $2: the program to make; then pkg-config's words.
compile_by_pkg_config() {
    libdir=$1 program=$2
    shift 2
    flags=$(ask_pkg_config "$libdir" --cflags --libs "$@") || return 1
    echo "$CC scripts/installed.c -o $program $flags"
    # shellcheck disable=SC2086
    "$CC" scripts/installed.c -o "$program" $flags
}

# $1: the directory to build in, $2: the prefix; then the words of find_package.
configure_by_cmake() {
    dir=$1 prefix=$2
    shift 2
    rm -rf "$dir" && mkdir -p "$dir/src" || return 1
    cp scripts/installed.c "$dir/src" || return 1
    cat >"$dir/src/CMakeLists.txt" <<C
cmake_minimum_required(VERSION 3.16)
project(installed LANGUAGES C)
find_package($*)
add_executable(shared installed.c)
target_link_libraries(shared netconn::netconn)
add_executable(static installed.c)
target_link_libraries(static netconn::netconn_static)
C
    # Under a multiarch directory CMake looks where it knows the architecture's name: from a project's language.
    cmake -S "$dir/src" -B "$dir" -DCMAKE_C_COMPILER="$CC" -DCMAKE_PREFIX_PATH="$prefix"
}
cannot() { ! "$@"; }

# $1: how it is installed, $2: the prefix, $3: the directory of the libraries, $4: system, vendored or none.
use_installed() {
    how=$1 prefix=$2 libdir=$3 openssl=$4
    use=$scratch/use
    rm -rf "$use" && mkdir "$use"

    if command -v "$user_pkg_config" >/dev/null; then
        claim "$how: pkg-config knows its version" \
            [ "$(ask_pkg_config "$libdir" --modversion netconn)" = "$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)" ]
        claim "$how: pkg-config names the headers' directory" \
            sh -c "cd '$(ask_pkg_config "$libdir" --variable=includedir netconn)/netconn' && [ -f net_conn.h ]"
        flags=$(ask_pkg_config "$libdir" --cflags libsocket)
        case $openssl in
        system) claim "$how: pkg-config defines that there is TLS" sh -c "echo '$flags' | grep -q -e -DSOCKET_HAS_TLS=1" ;;
        *) claim "$how: pkg-config defines nothing of TLS" sh -c "! echo '$flags' | grep -q SOCKET_HAS_TLS" ;;
        esac
        claim "$how: pkg-config --libs links" compile_by_pkg_config "$libdir" "$use/shared" netconn
        claim "$how: the shared library" is_shared "$use/shared"
        claim "$how: the program runs" env LD_LIBRARY_PATH="$libdir" "$use/shared"
        claim "$how: pkg-config --libs names the library alone" \
            sh -c "! echo '$(ask_pkg_config "$libdir" --libs netconn)' | grep -qE -e '-l(ssl|crypto|pthread|dl|m)\b'"
        claim "$how: libsocket is the same" compile_by_pkg_config "$libdir" "$use/older" libsocket
        claim "$how: shared too" is_shared "$use/older"

        claim "$how: netconn-static links" compile_by_pkg_config "$libdir" "$use/static" netconn-static
        claim "$how: the static library" is_static "$use/static"
        claim "$how: the program runs" "$use/static"

        # As where only the static library is installed: --static names all that it needs, and nothing else is there.
        mkdir "$use/lib" && cp -r "$libdir/pkgconfig" "$use/lib" && cp "$libdir/libnetconn.a" "$libdir"/libsocket.a "$use/lib"
        claim "$how: pkg-config --static --libs links with the static library alone" \
            compile_by_pkg_config "$libdir" "$use/alone" --static --define-variable=libdir="$use/lib" netconn
        claim "$how: static" is_static "$use/alone"
        claim "$how: the program runs" "$use/alone"
        case $openssl in
        system) claim "$how: --static names OpenSSL" \
            sh -c "echo '$(ask_pkg_config "$libdir" --static --libs netconn)' | grep -q -e '-lssl .*-lcrypto'" ;;
        *) claim "$how: --static names no OpenSSL" \
            sh -c "! echo '$(ask_pkg_config "$libdir" --static --libs netconn)' | grep -qE -e '-l(ssl|crypto)'" ;;
        esac
    else
        skip "$how: used by pkg-config" "$user_pkg_config is not installed"
    fi

    if command -v cmake >/dev/null; then
        version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
        claim "$how: find_package finds it" configure_by_cmake "$use/cmake" "$prefix" netconn "$version" REQUIRED
        claim "$how: CMake builds" cmake --build "$use/cmake"
        claim "$how: netconn::netconn is the shared library" is_shared "$use/cmake/shared"
        claim "$how: the program runs" "$use/cmake/shared"
        claim "$how: netconn::netconn_static is the static library" is_static "$use/cmake/static"
        claim "$how: the program runs" "$use/cmake/static"
        claim "$how: another major version is not found" \
            cannot configure_by_cmake "$use/other" "$prefix" netconn "$(($(netconn_major) + 1))" REQUIRED
        claim "$how: a newer version is not found" \
            cannot configure_by_cmake "$use/newer" "$prefix" netconn "${version%.*}.999" REQUIRED
        claim "$how: a range that has it is found" \
            configure_by_cmake "$use/range" "$prefix" netconn "$(netconn_major)...$(($(netconn_major) + 1))" REQUIRED
    else
        skip "$how: used by CMake" "cmake is not installed"
    fi
}
