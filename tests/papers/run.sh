#!/usr/bin/env bash
# The papers of examples/papers at short settings: `# short: ARGS` in a file's header says which. Each
# must go through and judge each of its claims; with `# short holds: ARGS` all of them hold already.
# The executable that is built of a program prints the same. Full settings: tests/slow.
# run.sh [NAME ...] runs some of them, as in `run.sh 10-discquant`.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
lg=$(realpath "${LG:-$root/build/lg}")
. "$root/tests/examples/common.sh"
mkdir papers && ln -s "$root/examples/data" data && cd papers || exit 1 # as the examples lie

# What a run prints, without what differs from run to run.
figures() { grep -v 'seconds\|times faster' "$1"; }

[ $# -eq 0 ] && set -- "$root"/examples/papers/*.lg
for f in "$@"; do
    name=$(basename "$f" .lg)
    f=$root/examples/papers/$name.lg
    args=$(sed -n 's/^# short\( holds\)\{0,1\}: //p' "$f" | head -n 1)
    [ -n "$args" ] || { fail "$name.lg does not say which settings are short"; continue; }
    runs 0 check "$lg" check --quiet "$f"
    runs 0 layout "$lg" fmt --check "$f"
    # shellcheck disable=SC2086
    (ulimit -v 8000000; exec timeout 60 "$lg" run --quiet "$f" $args) >out 2>err </dev/null
    status=$?
    if [ $status -gt 1 ] || grep -q '^error\|^runtime' err; then
        fail "$name $args: exit status $status: $(head -n 2 err)"
    elif [ $status -eq 1 ] && grep -q '^# short holds: ' "$f"; then
        fail "$name $args: $(grep '^FALLS SHORT' out | head -n 3)"
    else
        ok
    fi
    last="$name $args"
    says '^\(ok\|FALLS SHORT\) '
    figures out >ran
    runs 0 build "$lg" build --no-compile "$f" -o "$name" # with compiled kernels: tests/slow, tests/native
    # shellcheck disable=SC2086
    (ulimit -v 8000000; exec timeout 60 "./$name" --quiet $args) >out 2>err </dev/null
    [ $? -eq $status ] && figures out | diff ran - >diff.out && ok ||
        fail "$name: the executable differs: $(head -n 4 diff.out err)"
done
summary
