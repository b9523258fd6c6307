#!/bin/sh
# Builds the engine's tests with each sanitizer and runs them. PKG_CONFIG_PATH must lead to PJSIP.
# The tests are real time and mostly sleep: four processes share them.
set -eu

tests=$(dirname "$(readlink -f "$0")")
build=${OFFHOOK_NATIVE_BUILD:-$(readlink -f "$tests/../../..")/build/native}
shards=4

export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1:suppressions=$tests/thread.supp"
export ASAN_OPTIONS="detect_stack_use_after_return=1:strict_string_checks=1"
export LSAN_OPTIONS="suppressions=$tests/leak.supp:print_suppressions=0"
export UBSAN_OPTIONS="print_stacktrace=1"

# The tests that a log says have failed. What a sanitizer reports, or a crash, is final.
failed_tests() {
    if grep -qE 'ThreadSanitizer|AddressSanitizer|LeakSanitizer|runtime error' "$1" || ! grep -q '^\[  FAILED  \]' "$1"; then
        cat "$1" >&2
        echo "engine tests under the $2 sanitizer: failed" >&2
        kill $$
    fi
    cat "$1" >&2
    sed -n 's/^\[  FAILED  \] \([^ ,]*\).*/\1/p' "$1" | grep '\.' | sort -u
}

# ThreadSanitizer knows the memory layout of older kernels only: no address space randomisation.
setarch -R true || { echo "setarch -R is refused here (a container's seccomp profile?): run the tests where it is not" >&2; exit 1; }

for sanitizer in thread address; do
    cmake --fresh -G Ninja -S "$tests/.." -B "$build/$sanitizer" -DOFFHOOK_NATIVE_TESTS=ON -DOFFHOOK_SANITIZER="$sanitizer" \
        >"$build.cmake.log" 2>&1 || { cat "$build.cmake.log"; exit 1; }
    cmake --build "$build/$sanitizer" >"$build.build.log" 2>&1 || { cat "$build.build.log"; exit 1; }

    shard=0
    pids=
    while [ $shard -lt $shards ]; do
        GTEST_TOTAL_SHARDS=$shards GTEST_SHARD_INDEX=$shard setarch -R "$build/$sanitizer/tests/engine_tests" \
            --gtest_brief=1 "$@" >"$build.$shard.log" 2>&1 &
        pids="$pids $!"
        shard=$((shard + 1))
    done
    again=
    shard=0
    for pid in $pids; do
        wait "$pid" || again="$again $(failed_tests "$build.$shard.log" "$sanitizer")"
        shard=$((shard + 1))
    done
    # A machine that stands still for 50 ms breaks what is promised within 40: what fails once more, alone, has failed.
    for test in $again; do
        echo "once more, alone: $test"
        setarch -R "$build/$sanitizer/tests/engine_tests" --gtest_brief=1 --gtest_filter="$test" ||
            { echo "engine tests under the $sanitizer sanitizer: failed"; exit 1; }
    done
    echo "engine tests under the $sanitizer sanitizer: passed"
done
