# What `make install` puts where and `make uninstall` takes away: headers, both libraries, and what tells pkg-config and
# CMake of them. Part of the Makefile.

.PHONY: install uninstall which-openssl

# A header in a folder keeps it: adapters/libev.h is included by that name.
headers := $(patsubst include/%,%,$(sort $(wildcard include/*.h include/*/*.h include/*/*/*.h)))
header_dirs := $(filter-out ./,$(sort $(dir $(headers))))
# A folder's folders go before it.
reversed = $(if $(1),$(call reversed,$(wordlist 2,$(words $(1)),$(1))) $(firstword $(1)))
modules := netconn.pc netconn-static.pc libsocket.pc
cmake_files := netconn-config.cmake netconn-config-version.cmake

to_lib = $(DESTDIR)$(LIBDIR)
to_include = $(DESTDIR)$(INCLUDEDIR)/netconn
to_pkgconfig = $(to_lib)/pkgconfig
to_cmake = $(to_lib)/cmake/netconn
fill = prefix='$(PREFIX)' libdir='$(LIBDIR)' includedir='$(INCLUDEDIR)' version='$(version)' openssl='$(openssl)' \
    private_libs='$(rust_libs)' CC='$(CC)' packaging/fill.sh

# Commands with a line of their own, so that the first that fails ends it.
# $(1): a header
define install_header
install -m 644 'include/$(1)' '$(to_include)/$(1)'

endef
# $(1): a template's name without .in, $(2): the directory of the file
define install_filled
$(fill) packaging/$(1).in >'$(2)/$(1)'
chmod 644 '$(2)/$(1)'

endef

# libsocket is the name by which older programs link.
install: all
	install -d '$(to_lib)' '$(to_pkgconfig)' '$(to_cmake)' '$(to_include)' $(header_dirs:%='$(to_include)/%')
	$(foreach header,$(headers),$(call install_header,$(header)))
	install -m 644 $(build)/include/core/SocketFeatures.h '$(to_include)/core'
	install -m 644 $(build)/libnetconn.a '$(to_lib)'
	install -m 755 $(build)/libnetconn.so.$(version) '$(to_lib)'
	ln -sf libnetconn.so.$(version) '$(to_lib)/$(soname)'
	ln -sf $(soname) '$(to_lib)/libnetconn.so'
	ln -sf libnetconn.so '$(to_lib)/libsocket.so'
	ln -sf libnetconn.a '$(to_lib)/libsocket.a'
	$(foreach module,$(modules),$(call install_filled,$(module),$(to_pkgconfig)))
	$(foreach file,$(cmake_files),$(call install_filled,$(file),$(to_cmake)))

# The directories that only netconn has go too.
uninstall:
	rm -f $(foreach lib,libnetconn.a libnetconn.so $(soname) libnetconn.so.$(version) libsocket.a libsocket.so,\
	    '$(to_lib)/$(lib)')
	rm -f $(modules:%='$(to_pkgconfig)/%') $(cmake_files:%='$(to_cmake)/%') $(headers:%='$(to_include)/%')
	-rmdir '$(to_cmake)' $(patsubst %,'$(to_include)/%',$(call reversed,$(header_dirs))) '$(to_include)'

# For a build that drives this one: where TLS comes from.
which-openssl:
	@echo '$(openssl)'
