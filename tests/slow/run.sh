#!/usr/bin/env bash
# The examples at full length and over many seeds; a few minutes, so not part of tests/run.sh.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
lg=$(realpath "${LG:-$root/build/lg}")
. "$root/tests/examples/common.sh"
LIMIT=600

# The claims of one run hold for other seeds too: at least LEAST of the seeds 1 to COUNT.
seeds() { # seeds WHAT COUNT LEAST PATTERN COMMAND...
    local what=$1 count=$2 least=$3 pattern=$4 good=0 seed
    shift 4
    for ((seed = 1; seed <= count; seed++)); do
        timeout "$LIMIT" "$@" --quiet --seed $seed >out 2>err </dev/null
        grep -q -e "$pattern" out && good=$((good + 1))
    done
    at_least "$what: good seeds of $count" $good "$least"
}
example() { printf '%s/examples/%s.lg' "$root" "$1"; }
seeds "digits at 97 %" 12 11 'acc \(0.9[789]\|1\)' "$lg" run "$(example digits)"
seeds "digits, 256 wide, at 97 %" 6 5 'acc \(0.9[789]\|1\)' "$lg" run "$(example digits)" --hidden 256
seeds "own at 90 %" 12 11 'acc \(0.9\|1\)' "$lg" run "$(example own)"
seeds "qat within 1.5 points" 12 11 '^ok .*1.5 points' "$lg" run "$(example qat)"
seeds "corridor over 0.8" 12 11 '^ok .*over 0.8' "$lg" run "$(example corridor)"
seeds "bandit within 5 %" 20 17 '^ok .*best arm' "$lg" run "$(example corridor)" bandit
seeds "hessian agrees" 6 6 '^ok .*agree' "$lg" run "$(example hessian)"

# The GPT at its defaults: below the counts, and most of what it writes are words of the text.
name=gpt
runs 0 train "$lg" run "$(example gpt)"
says '^ok .*below the order-2 entropy'
runs 0 sample "$lg" run "$(example gpt)" sample --length 2000
words() { tr -cs 'A-Za-z' '\n' <"$1" | tr 'A-Z' 'a-z' | sort; }
words "$root/examples/data/kjv.txt" | uniq -c | awk '$1 > 1 { print $2 }' >known
words out | sed '1d;$d' >written
at_least "gpt: words it knows" "$(join written known | wc -l | awk -v n="$(wc -l <written)" '{ print $1/n }')" 0.6

# The papers at their defaults: every claim holds, and the executable prints the same figures.
mkdir -p papers && ln -s "$root/examples/data" data && cd papers || exit 1
for f in "$root"/examples/papers/*.lg; do
    name=$(basename "$f" .lg)
    runs 0 "in full" "$lg" run --quiet "$f"
    grep -v 'seconds\|times faster' out >ran
    runs 0 build "$lg" build "$f" -o "$name"
    runs 0 "built, in full" "./$name" --quiet
    grep -v 'seconds\|times faster' out | diff ran - >diff.out && ok || fail "$name differs: $(head -n 4 diff.out)"
done
cd ..

# Sizes grow with depth as they should: up to 1000 layers of a perceptron, 96 of a transformer.
timeout $LIMIT "$root/bench/scaling/scaling.py" --lg "$lg" --counts >out 2>&1 && ok || fail "scaling: $(grep -v '^.*start' out | grep 'NOT LINEAR' | head -n 3)"

# The pages that lg writes, in a browser: tests/tools leaves that out where there is none.
command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } >apt.out 2>&1
timeout $LIMIT env LG="$lg" bash "$root/tests/tools/run.sh" >out 2>&1 </dev/null && ok || fail "tools: $(head -n 4 out)"
! grep -q SKIPPED out && ok || fail "no browser to look at pages with"
summary
