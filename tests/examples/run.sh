#!/usr/bin/env bash
# The examples as a new user runs them: short settings, in a scratch directory, and what they claim
# is looked at. Full settings and many seeds: tests/slow.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
lg=$(realpath "${LG:-$root/build/lg}")

. "$root/tests/examples/common.sh"
ln -s "$root/examples" examples # the working directory looks like the repository's

# Every example has a function here, called by its name.
digits() {
    runs 0 train "$lg" run examples/digits.lg
    says "digits_mlp: 690 steps"
    at_least "digits: accuracy" "$(number 'acc \([0-9.]*\)')" 0.97
    local save=runs/digits/step-00000690.safetensors
    have "a save at the end" "$save"
    grep -aq '"net.l1.w":{"data_offsets":.*"dtype":"F32","shape":\[128,64\]}' "$save" && ok || fail "parameters by path in $save"
    local right=0 row
    for row in 0 1 2 3 100 200 300 357 358 359; do
        runs 0 "predict row $row" "$lg" run examples/digits.lg predict --row $row
        grep -Eq '^says ([0-9]), is \1$' out && right=$((right + 1))
    done
    at_least "digits: right predictions of 10" $right 9
    runs 2 "a row that there is not" "$lg" run examples/digits.lg predict --row 360
    runs 1 "another width than the save's" "$lg" run examples/digits.lg predict --hidden 64
    complains "l1.*64"
    runs 0 "a narrow layer" "$lg" run --quiet examples/digits.lg --hidden=32
    at_least "digits: accuracy of a narrow layer" "$(number 'acc \([0-9.]*\)')" 0.95
    runs 0 "the newest save is the last run's" "$lg" run examples/digits.lg predict --hidden 32
    runs 0 help "$lg" run examples/digits.lg --help
    says '--hidden i64 in 1..4097 .*width of the hidden layer (default 128)'
    says 'predict .*held-out row'
    runs 2 "a misspelt option" "$lg" run examples/digits.lg --hiden 64
    complains "did you mean --hidden?"
    runs 2 "a width out of range" "$lg" run examples/digits.lg --hidden 0
    complains "1..4097"
    runs 2 "a width that is no number" "$lg" run examples/digits.lg --hidden wide
}
codes() {
    runs 0 "learn and encode" "$lg" run examples/codes.lg
    says "floats: accuracy .* 340008 bytes"
    says "codes:  accuracy .*, 54888 bytes"
    local coded file
    file=$(ls runs/digits-int4/*.safetensors)
    coded=$(number 'codes:  accuracy \([0-9.]*\)')
    at_most "codes: bytes of the file" "$(stat -c %s "$file")" 57500
    grep -aq '"net.l2.w.codes":{"data_offsets":.*"dtype":"U8","shape":\[256,128\]}' "$file" \
        && ok || fail "two codes a byte in the file"
    runs 0 "from the file" "$lg" run examples/codes.lg test
    says "accuracy $coded%, 54888 bytes"
    runs 0 "one row" "$lg" run examples/codes.lg predict --row 3
    says "^says [0-9], is [0-9]$"
    [ -e data ] || ln -s examples/data data
    runs 0 build "$lg" build examples/codes.lg -o codes
    runs 0 "the built program" ./codes test
    says "accuracy $coded%, 54888 bytes"
}
own() {
    runs 0 train "$lg" run examples/own.lg
    says "step 600 loss 0"
    says "fit 0.*, penalty 0.*, loss 0"
    at_least "own: accuracy" "$(number 'acc \([0-9.]*\)')" 0.9
    runs 0 check "$lg" check examples/own.lg
    says "ok .*gradcheck(focal)"
    says "ok .*order(focal, 2)"
}
gpt() {
    local small=(--width 32 --nheads 2 --window 32 --depth 1)
    runs 1 train "$lg" run examples/gpt.lg "${small[@]}" --steps 60 # too short for its claim
    says "order-2 entropy 1.632"
    says "FALLS SHORT .*below the order-2 entropy"
    at_most "gpt: loss" "$(number '^loss \([0-9.]*\)')" 3.7
    have "a save at the end" runs/gpt/step-00000060.safetensors
    runs 0 sample "$lg" run examples/gpt.lg sample "${small[@]}" --length 150
    [ "$(tr -d '\n' <out | wc -c)" -ge 100 ] && ok || fail "sample: at least 100 characters"
    small=(--width 16 --nheads 2 --window 32 --depth 1)
    runs 1 "a later, shorter run" "$lg" run --quiet examples/gpt.lg "${small[@]}" --steps 5
    runs 0 "its save is the newest" "$lg" run examples/gpt.lg sample "${small[@]}" --length 5
    have "the save of the run before" runs/gpt/step-00000060.safetensors
    runs 1 "heads that do not divide" "$lg" run examples/gpt.lg --width 32 --nheads 5
    complains "does not divide\|must divide"
}
qat() {
    runs 0 train "$lg" run examples/qat.lg
    says "ok .*within 1.5 points"
    at_least "qat: accuracy in int4" "$(number 'int4 \([0-9.]*\)%')" 95
}
corridor() {
    runs 0 train "$lg" run examples/corridor.lg
    says "ok .*mean return over 0.8"
    runs 0 bandit "$lg" run examples/corridor.lg bandit
    says "ok .*within 5 % of the best arm"
    runs 0 "few pulls" "$lg" run examples/corridor.lg bandit --arms 3 --pulls 5000 --seed 4
    runs 2 "one arm" "$lg" run examples/corridor.lg bandit --arms 1
}
hessian() {
    runs 0 train "$lg" run examples/hessian.lg
    says "ok .*both agree"
    says "of 310 eigenvalues"
    at_most "hessian: residual" "$(number 'residual \([0-9.e-]*\)')" 1e-3
}

for f in examples/*.lg; do
    name=$(basename "$f" .lg)
    declare -F "$name" >/dev/null || { fail "$name.lg has no test here"; continue; }
    runs 0 check "$lg" check --quiet "$f"
    runs 0 layout "$lg" fmt --check "$f"
    "$name"
done

# From elsewhere, by its full path: data are found beside the program, saves go where we are.
mkdir elsewhere && cd elsewhere || exit 1
for name in digits own corridor; do
    runs 0 "from elsewhere" "$lg" run --quiet "$root/examples/$name.lg"
done
have "saves in the working directory" runs/digits/step-00000690.safetensors
cd ..

# Threads change nothing: every saved byte and every logged loss is the same with 1, 2 and 4.
for n in 1 2 4; do
    mkdir "threads-$n" && cd "threads-$n" || exit 1
    for name in digits own qat corridor hessian "gpt --steps 3 --depth 2 --window 32"; do
        # shellcheck disable=SC2086
        set -- $name
        "$lg" run --quiet --threads $n --log "$1.log" "$root/examples/$1.lg" "${@:2}" >out 2>err </dev/null
        sed 's/"seconds":[^,}]*//' "$1.log" >"$1.steps"
        rm "$1.log"
        [ -s "$1.steps" ] || echo "no log with $n threads" >"$1.steps"
    done
    rm out err
    cd ..
    if [ "$n" -gt 1 ]; then
        diff -r threads-1 "threads-$n" >diff.out && ok || fail "$n threads differ from 1: $(head -n 3 diff.out)"
    fi
done
have "saves to compare" threads-4/runs/digits/step-00000690.safetensors
have "saves to compare" threads-4/runs/gpt/step-00000003.safetensors
summary
