#!/usr/bin/env bash
# Runs that stop and go on: bits after --resume, saves that survive kill -9, directories that cannot
# be written, limits. The programs of this folder are run by tests/lang/run.sh.
set -u
cd "$(dirname "$0")/../.."
root=$PWD
lg=$(realpath "${LG:-build/lg}")
passed=0 failed=0
scratch=$(mktemp -d)
trap 'chmod -R u+w "$scratch"; rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1

check() { # check NAME STATUS: the outcome of one test
    if [ "$2" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "FAILED $1"; fi
}
says() { # says FILE TEXT
    grep -qF -- "$2" "$1" || { echo "not in $1: $2" && head -n 5 "$1" && return 1; }
}
run() { timeout 100 "$lg" run "$@" </dev/null; }

cat >steps.lg <<'END'
arg width: i64 = 6
data pts() { field x: float[4] = rand normal([4]); field y: float = x[0] - 2*x[1] }
model Net(I, H) {
  part a = Linear(I, H); part b = Linear(H, H); part c = Linear(H, 1)
  fn call(x: float[...S, I]) -> float[...S, 1] = x |> a |> relu |> b |> relu |> c
}
train fit(stop_at: i64 = 1000000) {
  part net = Net(4, width)
  state seen: float = 0.0
  data = pts() |> take(50) |> shuffle(seed=3) |> batch(8)
  data other = pts() |> take(30) |> shuffle(seed=5) |> batch(5)
  seen' = seen + mean(other.x[:, 0])
  loss = (dropout(net(x), p=0.1)[:, 0] - y)^2
  optimizer = adam(lr=0.01)
  metric gn = norm(grad(loss, wrt=net))
  phase first { epochs = 3 }
  phase second { optimizer = sgd(lr=linear(0.02, 0.0), momentum=0.9); epochs = 2; data = pts() |> take(50) |> batch(16) }
  eval pts() |> take(20) every 2 steps { err = mean((net(x)[:, 0] - y)^2) }
  save "saves" every 2 steps
  stop when run.step + 1 == stop_at
}
END
# Every save of an uninterrupted run is where another may go on, and ends at the same bits.
run steps.lg --quiet >whole.out 2>whole.err
check "a run of two phases" $?
ls saves >names
last=$(tail -n 1 names)
cp "saves/$last" whole.safetensors
for name in $(sed '$d' names); do
    rm -rf saves && mkdir saves
    step=$(basename "$name" .safetensors)
    run steps.lg --quiet >/dev/null 2>&1 # makes them all again
    find saves -name '*.safetensors' | sort | while read -r f; do
        [[ $(basename "$f") > $name ]] && rm "$f"
    done
    run steps.lg --quiet --resume saves >more.out 2>more.err &&
        cmp -s "saves/$last" whole.safetensors && cmp -s <(cut -d, -f1,3- whole.out) <(cut -d, -f1,3- more.out)
    check "the same bits after going on at $step" $?
done
run steps.lg --quiet --resume saves --width 7 >/dev/null 2>width.err
says width.err "\`width\` is 7 now, but was 6"
check "another argument is refused" $?
run steps.lg --quiet --resume nowhere >/dev/null 2>nowhere.err
[ $? -eq 1 ] && says nowhere.err "nowhere"
check "nothing to go on from" $?

# A save is whole or not there at all, whenever the run is killed.
cat >killed.lg <<'END'
data pts() { field x: float[4] = rand normal([4]) }
model Net(I, H) {
  part a = Linear(I, H); part b = Linear(H, H); part c = Linear(H, 1)
  fn call(x: float[...S, I]) -> float[...S, 1] = x |> a |> relu |> b |> relu |> c
}
train fit {
  part net = Net(4, 300)
  data = pts() |> batch(4)
  loss = net(x)[:, 0]^2
  optimizer = adam(lr=0.01)
  max_steps = 1000000
  save "kept" every 1 steps
}
entry load { part net = Net(4, 300) from "kept"; print "norm {norm(net) > 0}" }
END
for wait in 0.31 0.43 0.57 0.74; do
    "$lg" run killed.lg fit --quiet >/dev/null 2>&1 </dev/null &
    sleep "$wait" && kill -KILL $! && wait $! 2>/dev/null
    [ -d kept ] || continue
    run killed.lg load >load.out 2>load.err && says load.out "norm true"
    check "a save after kill -9 in $wait s" $?
done
# A signal ends the run after the step, with a save.
rm -rf kept
timeout -s TERM 1 "$lg" run killed.lg fit --quiet >/dev/null 2>signal.err </dev/null
says signal.err "stopped by a signal" && run killed.lg load >load.out 2>&1 && says load.out "norm true"
check "a run that is told to stop saves" $?

# Where nothing can be written the run ends with a reason and no trace.
if [ "$(id -u)" -ne 0 ]; then
    mkdir locked && chmod a-w locked
    sed 's/"kept" every 1 steps/"locked\/kept" every 1 steps/; s/1000000/3/' killed.lg >locked.lg
    run locked.lg fit --quiet >/dev/null 2>locked.err
    [ $? -eq 1 ] && says locked.err "locked/kept"
    check "a directory without permission" $?
fi
touch plain
sed 's/"kept" every 1 steps/"plain\/kept" every 1 steps/; s/1000000/3/' killed.lg >plain.lg
run plain.lg fit --quiet >/dev/null 2>plain.err
[ $? -eq 1 ] && says plain.err "plain/kept"
check "a directory within a file" $?
(ulimit -f 100 && sed 's/"kept"/"full"/; s/1000000/3/' killed.lg >full.lg &&
    trap '' XFSZ && timeout 60 "$lg" run full.lg fit --quiet >/dev/null 2>full.err </dev/null)
[ $? -eq 1 ] && says full.err "error[E0610]" && ! ls full/*.safetensors >/dev/null 2>&1
check "no room for a save" $?

# More memory than allowed is refused before the first step.
run killed.lg fit --quiet --memory 1M >/dev/null 2>memory.err
[ $? -eq 1 ] && says memory.err "error[E0438]" && says memory.err "more than the limit"
check "a limit of memory" $?

# Off a terminal progress is a few plain lines.
sed 's/1000000/30/' killed.lg >short.lg
run short.lg fit >/dev/null 2>lines.err
[ "$(wc -l <lines.err)" -le 24 ] && says lines.err "30/30"
check "few lines of progress" $?

# The log has a line a step.
run short.lg fit --quiet --log log.jsonl >/dev/null 2>&1
[ "$(grep -c '"loss"' log.jsonl)" -eq 30 ]
check "a line of the log for every step" $?

# The programs of the examples, shortened, go on like one run.
for name in digits qat own; do
    [ -f "$root/examples/$name.lg" ] || continue
    mkdir -p "ex-$name" && cd "ex-$name" || exit 1
    mkdir -p data && cp "$root"/examples/data/*.csv data/
    sed -E 's/epochs = [0-9]+/epochs = 2/; s/max_steps = [0-9]+/max_steps = 40/; /^ *save /d' "$root/examples/$name.lg" |
        sed -E '/^train /a\  save "saved" every 9 steps' >p.lg
    train=$(sed -nE 's/^train ([a-z0-9_]+).*/\1/p' p.lg | head -n 1)
    run p.lg "$train" --quiet >/dev/null 2>whole.err
    last=$(ls saved 2>/dev/null | tail -n 1)
    if [ -n "$last" ]; then
        cp "saved/$last" whole.safetensors
        first=$(ls saved | head -n 1)
        find saved -name 'step-*' ! -name "$first" -delete
        run p.lg "$train" --quiet --resume saved >/dev/null 2>more.err
        cmp -s "saved/$last" whole.safetensors
        check "$name goes on with the same bits" $?
    else
        cat whole.err
        check "$name runs" 1
    fi
    cd "$scratch" || exit 1
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
