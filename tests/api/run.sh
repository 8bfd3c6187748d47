#!/usr/bin/env bash
# run.sh: installs into a folder of its own, and builds a C program against what is there: by
# pkg-config, by find_package and with the archive. What stands beside the library is looked at too.
set -u
cd "$(dirname "$0")/../.." || exit 2
lg=$(realpath "${LG:-build/lg}")
build=$(dirname "$lg")
passed=0 failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
check() { # check NAME COMMAND...
    local name=$1 out
    shift
    if out=$("$@" 2>&1); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $name"
        printf '%s\n' "$out" | tail -n 12 | sed 's/^/    /'
    fi
}
finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}

prefix=$scratch/usr
check "cmake --install" cmake --install "$build" --prefix "$prefix"
libdir=$(dirname "$(find "$prefix" -name 'liblossgraph.so' | head -n 1)")
[ -d "$prefix" ] && [ -n "$libdir" ] || finish
major=$("$lg" version | sed 's/lg \([0-9]*\).*/\1/')
for f in bin/lg bin/lg-program include/lossgraph.h share/man/man1/lg.1 share/man/man1/lg-run.1 \
    share/man/man3/adamw.3lg share/bash-completion/completions/lg share/zsh/vendor-completions/_lg \
    share/fish/vendor_completions.d/lg.fish share/lossgraph/stdlib/losses.lg \
    share/doc/lossgraph/index.html share/doc/lossgraph/LICENSE; do
    check "$f" test -s "$prefix/$f"
done
check "soname" bash -c "readelf -d '$libdir/liblossgraph.so' | grep -q 'liblossgraph.so.$major]'"
check "only the interface is visible" bash -c \
    "! nm -D --defined-only '$libdir/liblossgraph.so' | grep -v ' lossgraph_'"
check "no path of the build in the package" bash -c \
    "! grep -rl '$build' '$libdir/pkgconfig' '$libdir/cmake'"
check "the installed lg runs" bash -c "cd '$scratch' && '$prefix/bin/lg' version"
cp tests/api/installed/line.lg "$scratch"
check "the installed lg builds programs" bash -c \
    "cd '$scratch' && '$prefix/bin/lg' build line.lg -o line && ./line --quiet"

# trains NAME EXE: ten steps, and the line that was asked for
trains() {
    LD_LIBRARY_PATH=$libdir check "$1" bash -c "[[ \$('$2' tests/api/installed/line.lg) == '10 steps, 3.'*' '-0.* ]]"
}
export PKG_CONFIG_PATH=$libdir/pkgconfig
cc=${CC:-cc}
if grep -q '^LG_SANITIZE:BOOL=ON' "$build/CMakeCache.txt"; then # what uses the library is built alike
    cc="$cc -fsanitize=address,undefined"
    export CFLAGS=-fsanitize=address,undefined
fi
# shellcheck disable=SC2046
check "pkg-config" $cc -Wall -Werror tests/api/installed/use.c -o "$scratch/by-pkg-config" \
    $(pkg-config --cflags --libs lossgraph) -lm
trains "the program that pkg-config helped to build" "$scratch/by-pkg-config"
check "pkg-config knows the version" test "lg $(pkg-config --modversion lossgraph)" = "$("$lg" version)"
check "find_package" bash -c "cmake -S tests/api/installed -B '$scratch/by-cmake' -DCMAKE_PREFIX_PATH='$prefix' &&
    cmake --build '$scratch/by-cmake'"
trains "the program that find_package helped to build" "$scratch/by-cmake/use"
# shellcheck disable=SC2046
check "the archive" $cc -I"$prefix/include" tests/api/installed/use.c -o "$scratch/by-archive" \
    "$libdir/liblossgraph.a" $(pkg-config --static --libs lossgraph | sed 's/-llossgraph//') -lm
LD_LIBRARY_PATH='' trains "the program with the archive in it" "$scratch/by-archive"
finish
