# The front door. Everything is done by CMake (CMakePresets.json) in build/<preset>; these are names.
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
SEEDS ?= 2000
MUTANTS ?= 0
SEED ?= 1
FUZZ_SECONDS ?= 60

build = cmake --preset $(1) >/dev/null && cmake --build build/$(1) -j $(JOBS)

all:
	$(call build,release)

demo: all
	build/release/kade demo

# Before every commit: under a minute once built.
check:
	$(call build,debug)
	python3 tools/run_tests.py --build build/debug --tier check

test:
	$(call build,asan)
	$(call build,release)
	python3 tools/run_tests.py --build build/asan --build build/release --tier test

test-all:
	$(call build,asan)
	$(call build,tsan)
	$(call build,release)
	python3 tools/run_tests.py --build build/asan --build build/tsan --build build/release --tier all

asan tsan:
	$(call build,$@)
	python3 tools/run_tests.py --build build/$@ --tier test

bench: all
	python3 tools/run_bench.py --build build/release

sim:
	$(call build,release)
	python3 tools/run_tests.py --build build/release --tier all --label sim --seeds $(SEEDS)

# Do the tests notice? Faults one at a time; MUTANTS=n: so many by rule instead of the planted ones.
mutants:
	python3 test/mutants/mutants.py $(if $(filter 0,$(MUTANTS)),--planted,--mutants $(MUTANTS) --seed $(SEED))

fuzz:
	$(call build,fuzz)
	python3 tools/run_fuzz.py --build build/fuzz --seconds $(FUZZ_SECONDS)

lint:
	python3 tools/lint.py
	clang-format --dry-run --Werror $$(git ls-files 'src/*.[ch]' 'test/*.[ch]' 'include/*.h' 'bench/*.[ch]' 'fuzz/*.[ch]' 'examples/*.[ch]')

install: all
	cmake --install build/release --prefix $(PREFIX)

clean:
	rm -rf build

.PHONY: all demo check test test-all asan tsan bench sim mutants fuzz lint install clean
