#!/usr/bin/env bash
# run.sh: every file below bad/READER is malformed in the way its name says. A program that reads it
# with that reader ends with status 1 and an error that names the file; none crashes, hangs or goes on.
set -u
cd "$(dirname "$0")/../.." || exit 2
lg=$(realpath "${LG:-build/lg}")
root=$PWD
passed=0 failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# program READER FILE: reads the rows of FILE
program() {
    case $1 in
    csv) echo "data d from csv(\"$2\") { field x: float = float(a) + float(b) }" ;;
    npy) echo "data d from npy(\"$2\") { field x: float[2] = float(value) }" ;;
    npz) echo "data d from npz(\"$2\") { field x: float[2] = float(x) }" ;;
    idx) echo "data d from idx(\"$2\") { field x: float[2, 2] = float(image) }" ;;
    safetensors) echo "data d from safetensors(\"$2\") { field x: float[2] = x }" ;;
    images) echo "data d from images(\"$2\") { field x: float[2, 2, 1] = float(image) }" ;;
    wav) echo "data d from wav(\"$2\", window=4) { field x: float[4] = window[:, 0] }" ;;
    text) echo "data d from text(\"$2\", tokens=chars(), window=4) { field x: i32[4] = window }" ;;
    *) return 1 ;;
    esac
    echo 'print rows_of(d).x'
}
for file in tests/io/bad/*/*; do
    reader=$(basename "$(dirname "$file")")
    problem=
    program "$reader" "$root/$file" >"$scratch/p.lg" || problem="no reader of that name"
    (ulimit -v 8000000 && exec timeout 20 "$lg" run "$scratch/p.lg") >"$scratch/out" 2>"$scratch/err" </dev/null
    status=$?
    [ "$status" -eq 1 ] || problem="exit status $status"
    grep -q '^error\[E06[0-9]*\]: ' "$scratch/err" || problem=${problem:-no error of a file}
    grep -qF "$(basename "$file")" "$scratch/err" || problem=${problem:-the error does not name the file}
    if [ -n "$problem" ]; then
        failed=$((failed + 1))
        echo "FAILED $file: $problem"
        head -n 4 "$scratch/err" "$scratch/out" | sed 's/^/    /'
    else
        passed=$((passed + 1))
        [ "${1:-}" = --show ] && head -n 1 "$scratch/err"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
