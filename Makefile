# netconn. `make help` lists the targets and variables.

CARGO ?= cargo
OBJCOPY ?= objcopy
READELF ?= readelf
PKG_CONFIG ?= pkg-config
CARGOFLAGS ?= --locked
BUILD ?= build
TLS ?= 1
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include

version := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' Cargo.toml | head -n 1)
major := $(firstword $(subst ., ,$(version)))
soname := libnetconn.so.$(major)
build := $(abspath $(BUILD))

# Everything that cargo makes for make stays in $(BUILD): two builds with different settings never meet.
export CARGO_TARGET_DIR := $(build)/cargo
export PKG_CONFIG CC AR

# The system's OpenSSL 3 where pkg-config knows one, else one built from source and hidden in the libraries.
# openssl-sys must come to the same answer, so nothing but pkg-config may tell it.
unexport OPENSSL_DIR OPENSSL_LIB_DIR OPENSSL_INCLUDE_DIR OPENSSL_LIBS OPENSSL_STATIC OPENSSL_NO_VENDOR OPENSSL_NO_PKG_CONFIG
ifeq ($(TLS),0)
# No OpenSSL at all: what needs TLS fails with ENOTSUP.
openssl := none
features := --no-default-features
else ifeq ($(shell $(PKG_CONFIG) --atleast-version=3.0 openssl 2>/dev/null && echo yes),yes)
openssl := system
openssl_libs := $(shell $(PKG_CONFIG) --libs openssl)
else
openssl := vendored
features := --features vendored
endif
# What the Rust standard library needs of a C system.
rust_libs := -lpthread -ldl -lm

.PHONY: all headers debug certs examples demo check check-loop check-debug check-valgrind check-asan bench clean help FORCE
all: $(build)/libnetconn.a $(build)/libnetconn.so $(build)/include/core/SocketFeatures.h

# ---- The libraries --------------------------------------------------------------------------------------------------
#
# cargo makes one archive that holds everything and shows more than a thousand symbols. It is linked into one object
# that keeps what the public functions reach, and shows these alone; both libraries are made of that object.

# $(1): directory of the libraries, $(2): cargo's profile directory, $(3): cargo's flag for it
define libraries
# cargo knows best whether the archive is up to date; it leaves the file alone when it is.
$(CARGO_TARGET_DIR)/$(2)/libnetconn.a: FORCE
	$$(CARGO) rustc $$(CARGOFLAGS) $(3) --lib --crate-type staticlib $$(features)

# `make PKG_CONFIG=false` after `make` gives the other OpenSSL: the object depends on which one it is.
$(1)/openssl: FORCE
	@mkdir -p $(1)
	@[ "$$$$(cat $$@ 2>/dev/null)" = '$(openssl)' ] || echo '$(openssl)' >$$@

# -d gives OpenSSL's common symbols a place, so that they can be hidden like all others. A weak symbol whose only user
# was dropped stays behind as a local one, and would become a global one without a definition. The bitcode that LTO
# leaves behind would make nm and ar fail where they have LLVM's plug-in.
$(1)/netconn.o: $(CARGO_TARGET_DIR)/$(2)/libnetconn.a $(1)/openssl symbols/public.txt Makefile
	$$(CC) -r -nostdlib -Wl,-d -Wl,--gc-sections $$$$(sed 's/^/-Wl,-u,/' symbols/public.txt) $$< -o $$@.all
	$$(OBJCOPY) -R .llvmbc -R .llvmcmd --keep-global-symbols=symbols/public.txt $$$$($$(READELF) -sW $$@.all | \
	    awk '$$$$5 == "LOCAL" && $$$$7 == "UND" && $$$$8 != "" { print "-N " $$$$8 }') $$@.all $$@
	@rm -f $$@.all

$(1)/libnetconn.a: $(1)/netconn.o
	@rm -f $$@
	$$(AR) rcs $$@ $$<

# Never unloaded: resolver threads may still be in it.
$(1)/libnetconn.so.$(version): $(1)/libnetconn.a symbols/netconn.map Makefile
	$$(CC) -shared $$(LDFLAGS) -Wl,-soname,$(soname) -Wl,--version-script=symbols/netconn.map \
	    -Wl,-z,nodelete,-z,defs,-z,relro,-z,now,-z,noexecstack \
	    -Wl,--whole-archive $$< -Wl,--no-whole-archive $(openssl_libs) $(rust_libs) -o $$@

$(1)/libnetconn.so: $(1)/libnetconn.so.$(version)
	ln -sf libnetconn.so.$(version) $(1)/$(soname)
	ln -sf $(soname) $$@
endef

$(eval $(call libraries,$(build),release,--release))
$(eval $(call libraries,$(build)/debug,debug,))

debug: $(build)/debug/libnetconn.a $(build)/debug/libnetconn.so $(build)/include/core/SocketFeatures.h

# What the headers say of TLS: those in include/ are of a build with the system's OpenSSL. $(build)/include comes before
# include/ on a compiler's path.
$(build)/include/core/SocketFeatures.h: $(build)/openssl include/core/SocketFeatures.h packaging/features.sh
	@mkdir -p $(@D)
	packaging/features.sh $(openssl) >$@

# ---- What is made and committed -------------------------------------------------------------------------------------

xtask := $(CARGO) run -q $(CARGOFLAGS) -p xtask --
ifeq ($(openssl),vendored)
# The workshop's own OpenSSL is the one that was built for the library: no second build for a few certificates.
built_openssl = $$(ls -dt $(CARGO_TARGET_DIR)/release/build/openssl-sys-*/out/openssl-build/install | head -n 1)
xtask := OPENSSL_STATIC=1 OPENSSL_DIR="$(built_openssl)" $(xtask)
headers certs: $(build)/libnetconn.a
endif

headers:
	$(xtask) headers
	$(xtask) symbols

# ---- Checks ---------------------------------------------------------------------------------------------------------

certs:
	@rm -rf $(build)/certs
	$(xtask) certs $(build)/certs

c_tests = NETCONN_TEST_CERTS=$(build)/certs NETCONN_TEST_TLS=$(TLS) INCLUDE=include BUILD_INCLUDE=$(build)/include \
    c-tests/run.sh
# Endurance, adapters and whole programs are about the same code in a build without TLS: that of the build with it.
ifeq ($(TLS),0)
folders := $(filter-out adapters examples legacy negative socket_tls socket_tls_context support torture,\
    $(patsubst c-tests/%/,%,$(wildcard c-tests/*/)))
endif
link = -L$(1) -lnetconn -Wl,-rpath,$(1)

check: all certs
	@scripts/tally.sh \
	    'headers' 'scripts/check-headers.sh' \
	    'code in the docs' 'scripts/check-doc-code.sh $(build)' \
	    'libraries' 'scripts/check-libraries.sh $(build) $(openssl)' \
	    'C tests' "BUILD=$(build)/c-tests LDLIBS='$(call link,$(build))' $(c_tests) $(folders)" \
	    'examples' 'scripts/examples.sh $(build)' \
	    'Rust tests' '$(CARGO) test $(CARGOFLAGS) --workspace $(features)'

# With NETCONN_POLLER=polling the loop's tests run on the poller that other systems have.
check-loop: all certs
	@scripts/tally.sh \
	    'C tests' "BUILD=$(build)/c-tests-loop LDLIBS='$(call link,$(build))' $(c_tests) evloop socket_poll" \
	    'Rust tests' '$(CARGO) test $(CARGOFLAGS) $(features) --lib evloop'

check-debug: debug certs
	@NETCONN_TEST_DEBUG=1 BUILD=$(build)/c-tests-debug LDLIBS='$(call link,$(build)/debug)' $(c_tests)

# Under valgrind many programs wait more than they work: four at a time keep two cores busy. Whole programs that tests start
# (examples, legacy) are looked at by AddressSanitizer alone, which costs them less.
watched := $(filter-out support headers negative examples legacy,$(notdir $(patsubst %/,%,$(wildcard c-tests/*/))))
check-valgrind: all certs
	@JOBS=$${JOBS:-4} BUILD=$(build)/c-tests-valgrind LDLIBS='$(call link,$(build))' RUNNER=valgrind $(c_tests) $(watched)

check-asan: all certs
	@BUILD=$(build)/c-tests-asan LDLIBS='$(call link,$(build))' \
	    CFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined' $(c_tests)

examples: all
	@scripts/examples.sh $(build)

ifeq ($(TLS),0)
demo bench:
	@echo 'make $@ shows TLS, and TLS=0 makes a build without it' >&2; false
else
demo: all certs
	@demo/run.sh $(build) $(build)/certs

bench: all certs
	@benches/run.sh $(build) $(build)/certs
endif

# ---- Installing, and what a release is made of ----------------------------------------------------------------------

include packaging/install.mk packaging/release.mk

clean:
	rm -rf $(build)

help:
	@echo 'make                  both libraries, in $(BUILD)/ (OpenSSL: $(openssl))'
	@echo 'make demo             a client and a server talk TLS, and tell what happens'
	@echo 'make examples         the programs of examples/, in $(BUILD)/examples/'
	@echo 'make install          PREFIX=$(PREFIX) LIBDIR=$(LIBDIR) INCLUDEDIR=$(INCLUDEDIR) DESTDIR=$(DESTDIR)'
	@echo 'make uninstall        with the same variables'
	@echo 'make dist             the source archive with every crate, which builds without network, in $(BUILD)/'
	@echo 'make debug            both libraries without optimisation, with assertions, in $(BUILD)/debug/'
	@echo 'make check            all tests; SKIPS_AS_FAILS=1: none may be skipped'
	@echo 'make check-loop       the tests of the loop alone; NETCONN_POLLER=polling: on that poller'
	@echo 'make check-debug      the C tests on the debug libraries'
	@echo 'make check-valgrind   the C tests under valgrind'
	@echo 'make check-asan       the C tests with AddressSanitizer and UndefinedBehaviorSanitizer'
	@echo 'make check-abi        whether a program built against the last release would still run'
	@echo 'make abi-baseline     what check-abi compares with, made anew: at a release'
	@echo 'make bench            side by side with a program written straight on epoll and OpenSSL'
	@echo 'make headers          include/ and symbols/ from src/capi/'
	@echo 'make clean            removes $(BUILD)/'
	@echo
	@echo 'CC=$(CC) AR=$(AR) OBJCOPY=$(OBJCOPY) CARGO=$(CARGO) CARGOFLAGS=$(CARGOFLAGS) BUILD=$(BUILD)'
	@echo 'PKG_CONFIG=$(PKG_CONFIG): `false` gives the vendored OpenSSL; TLS=$(TLS): 0 gives a build without TLS'
