# What a release is made of, and measured by. Part of the Makefile.

.PHONY: check-abi abi-baseline

check-abi:
	@scripts/check-abi.sh

abi-baseline:
	scripts/abi.sh write include packaging/abi/$(shell uname -m).abi
