# What a release is made of, and measured by. Part of the Makefile.

.PHONY: dist check-abi abi-baseline

# The committed files with every crate: builds without network.
dist:
	@mkdir -p $(build)
	CARGO='$(CARGO)' packaging/dist.sh $(version) $(build)/netconn-$(version).tar.xz
	@ls -l $(build)/netconn-$(version).tar.xz

check-abi:
	@scripts/check-abi.sh

abi-baseline:
	scripts/abi.sh write include packaging/abi/$(shell uname -m).abi
