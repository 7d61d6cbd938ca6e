#!/bin/sh
# Builds netconn by CMake as a project of its own, installs it, and builds it as a part of another project. The libraries
# that make left in BUILD are taken where they are up to date, so that nothing is compiled twice.
#
#     scripts/check-cmake.sh BUILD [CMAKE-OPTION]...        e.g. -DENABLE_TLS=OFF for a BUILD of `make TLS=0`
set -u
cd "$(dirname "$0")/.." || exit 2
build=$(cd "$1" && pwd) || exit 2
shift
: "${CC:=cc}"
. scripts/claims.sh
root=$PWD

if ! command -v cmake >/dev/null; then
    skip "netconn by CMake" "cmake is not installed"
    sum_up
    exit
fi

generator="Unix Makefiles"
if command -v ninja >/dev/null; then generator=Ninja; fi
installed() { (cd "$1" && find . ! -type d | LC_ALL=C sort); }
same_files() {
    installed "$1" >"$scratch/one"
    installed "$2" >"$scratch/two"
    diff "$scratch/one" "$scratch/two"
}

claim "cmake -B" cmake -S . -B "$scratch/alone" -DNETCONN_BUILD_DIR="$build" "$@" \
    -DCMAKE_INSTALL_PREFIX=/opt/netconn -DCMAKE_INSTALL_LIBDIR=lib
claim "cmake --build" cmake --build "$scratch/alone"
claim "cmake --install with DESTDIR" env DESTDIR="$scratch/stage" cmake --install "$scratch/alone"
claim "cmake --install with another prefix" cmake --install "$scratch/alone" --prefix "$scratch/prefix"
claim "which give the same files" same_files "$scratch/stage/opt/netconn" "$scratch/prefix"
claim "find_package takes what is needed" [ -f "$scratch/prefix/lib/cmake/netconn/netconn-config.cmake" ]

mkdir "$scratch/program"
cat >"$scratch/program/CMakeLists.txt" <<C
cmake_minimum_required(VERSION 3.16)
project(program LANGUAGES C)
add_subdirectory("$root" netconn)
add_executable(shared "$root/scripts/installed.c")
target_link_libraries(shared netconn::netconn)
add_executable(static "$root/scripts/installed.c")
target_link_libraries(static netconn::netconn_static)
install(TARGETS shared static)
C
claim "add_subdirectory" cmake -G "$generator" -S "$scratch/program" -B "$scratch/part" -DNETCONN_BUILD_DIR="$build" "$@"
claim "builds" cmake --build "$scratch/part"
claim "the program with the shared library runs" "$scratch/part/shared"
claim "the program with the static library runs" "$scratch/part/static"
claim "the static one is static" sh -c "! readelf -d '$scratch/part/static' | grep -q netconn"
claim "the project is installed without netconn" env DESTDIR="$scratch/project" cmake --install "$scratch/part"
claim "which its programs need not have" sh -c "! find '$scratch/project' | grep netconn"

sum_up
