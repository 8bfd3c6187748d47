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

# The end of a phase is such a place too: the optimizer of the next one starts afresh.
sed 's/ every 2 steps/ every 21 steps/; s/; data = pts() |> take(50) |> batch(16)//
    s/sgd(lr=linear(0.02, 0.0), momentum=0.9)/adam(lr=0.02)/' steps.lg >ends.lg
rm -rf saves && run ends.lg --quiet >/dev/null 2>&1
last=$(ls saves | tail -n 1)
mv "saves/$last" whole.safetensors
find saves -name '*.safetensors' ! -name step-00000021.safetensors -delete
run ends.lg --quiet --resume saves >/dev/null 2>&1 && cmp -s "saves/$last" whole.safetensors
check "the same bits after going on at the end of a phase" $?

# A run goes on with the model and the optimizer that it was saved with, or not at all.
find saves -name '*.safetensors' -delete
sed 's/ every 2 steps/ every 4 steps/' steps.lg >fours.lg
run fours.lg --quiet >/dev/null 2>&1
find saves -name '*.safetensors' ! -name 'step-000000[12][06].*' -delete
changed() { # changed NAME SED TEXT
    sed "$2" fours.lg >changed.lg
    run changed.lg --quiet --resume saves >/dev/null 2>changed.err
    [ $? -eq 1 ] && says changed.err "error[E0629]: $3" && [ "$(ls saves | wc -l)" -eq 2 ]
    check "going on with $1 is refused" $?
}
changed "another size" 's/Net(4, width)/Net(4, width + 1)/' \
    '`net.a.w` is f32[7, 4] now, but was f32[6, 4] in saves/step-00000020'
changed "another part" 's/\(part\|> relu |>\) b/\1 d/g' '`net.d.w` is not in saves/step-00000020'
changed "a part less" 's/ part b = Linear(H, H);//; s/ |> b |> relu//' \
    '`net.b.b` is in saves/step-00000020.safetensors, but not in the train now'
changed "another optimizer" 's/= adam(lr=0.01)/= sgd(lr=0.01, momentum=0.9)/' '`net.optimizer.buf.a.w` is not in saves/step-00000020'

# So it is from the end of a phase and from the end of the run, where no step is left to make.
mkdir kept && mv saves/* kept
run ends.lg --quiet >/dev/null 2>&1
sed -i 's/ every 4 steps/ every 21 steps/' fours.lg
for at in 21 "$(ls saves | sed -n '$s/step-0*\([0-9]*\).*/\1/p')"; do
    find saves -name '*.safetensors' ! -name "step-*$at.*" -delete
    for what in 's/\(part\|> relu |>\) b/\1 d/g net.d.w' 's/Net(4,.width)/Net(4,8)/ net.a.w'; do
        sed "${what% *}" fours.lg >changed.lg
        cp -r saves before
        run changed.lg --quiet --resume saves >/dev/null 2>changed.err
        [ $? -eq 1 ] && says changed.err "error[E0629]: \`${what##* }\` is" && diff -r saves before
        check "going on at the end, step $at, with another ${what##* } is refused" $?
        rm -r before
    done
    run ends.lg --quiet >/dev/null 2>&1
done
rm -r saves && mv kept saves

# A save that was cut short is passed over, and told.
head -c 300 saves/step-00000020.safetensors >cut && mv cut saves/step-00000020.safetensors
run fours.lg --quiet --resume saves >/dev/null 2>cut.err &&
    says cut.err "warning[W0601]: saves/step-00000020.safetensors"
check "a save cut short is told" $?
rm -rf saves

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
"$lg" run killed.lg fit --quiet >/dev/null 2>signal.err </dev/null & # `timeout` would signal twice
told=$!
for ((k = 0; k < 300; k++)); do
    compgen -G "kept/*.safetensors" >/dev/null && break
    sleep 0.1
done
kill -TERM $told
wait $told
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
sed 's/"kept" every 1 steps/"plain\/kept" every 400 steps/; s/1000000/500/' killed.lg >late.lg
run late.lg fit --quiet --log late.jsonl >/dev/null 2>late.err
[ $? -eq 1 ] && says late.err "plain/kept" && ! grep -q '"step"' late.jsonl
check "a directory that cannot be made is told before the first step" $?
(ulimit -f 100 && sed 's/"kept"/"full"/; s/1000000/3/' killed.lg >full.lg &&
    timeout 60 "$lg" run full.lg fit --quiet >/dev/null 2>full.err </dev/null)
[ $? -eq 1 ] && says full.err "error[E0610]" && ! ls full/*.safetensors >/dev/null 2>&1
check "no room for a save" $?

# More memory than allowed is refused before the first step.
run killed.lg fit --quiet --mem 1M >/dev/null 2>memory.err
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

# However the process ends, the log has all steps before, also when they follow each other fast.
cat >ends.lg <<'END'
fn raise(sig: i32) -> i32 from "libc.so.6"
data pts() { field x: float[4] = rand normal([4]) }
train fit(how: i64 = 0) {
  part net = Linear(4, 1)
  data = pts() |> batch(4)
  loss = net(x)[:, 0]^2
  metric code = float(raise(if step == 300 then i32(how) else i32(0)))
  optimizer = sgd(lr=1e-3)
  max_steps = 400
}
END
for signal in 1 3 6 11 15; do
    rm -f ends.jsonl
    (export ASAN_OPTIONS="${ASAN_OPTIONS-}:handle_segv=0:handle_abort=0" # signals are ours here
        timeout 60 "$lg" run ends.lg fit --allow-foreign --quiet --how $signal --log ends.jsonl \
            >/dev/null 2>&1 </dev/null; true) 2>/dev/null
    steps=$(grep -c '^{.*"step": .*"code": .*}$' ends.jsonl)
    [ "$steps" -ge 300 ] && [ "$steps" -le 301 ] && tail -c 2 ends.jsonl | grep -q '}'
    check "a log that ends with signal $signal" $?
done

# The programs of the examples, and one of many parameters, shortened, go on like one run.
for path in examples/digits examples/qat examples/own tests/jit/updates; do
    name=$(basename "$path")
    [ -f "$root/$path.lg" ] || continue
    mkdir -p "ex-$name" && cd "ex-$name" || exit 1
    mkdir -p data && cp "$root"/examples/data/*.csv data/
    sed -E 's/epochs = [0-9]+/epochs = 2/; s/max_steps = [0-9]+/max_steps = 40/; /^ *save /d' "$root/$path.lg" |
        sed -E '/^train /a\  save "saved" every 3 steps' >p.lg
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
# Parameters that `from` does not have are told, and keep their first values.
cat >from.lg <<'END'
model Pair(H) { param a: float[H] = zeros(); param b: float[H] = ones() }
entry some { part net = Pair(3) from {a: [1.0, 2.0, 3.0]}; print "{net.a} {net.b}" }
END
cat >whole.lg <<'END'
model Pair(H) { param a: float[H] = zeros(); param b: float[H] = ones() }
entry all { part net = Pair(2) from {a: [1.0, 2.0], b: [0.0, 0.0]}; print "{net.b}" }
END
run from.lg some >from.out 2>from.err
says from.out "[1, 2, 3] [1, 1, 1]" &&
    says from.err "warning[W0605]: 1 of 2 parameters of \`Pair\` are not in the record" &&
    says from.err "= \`b\`" && [ "$(grep -c W0605 from.err)" -eq 1 ]
check "what from does not have is told once" $?
timeout 100 "$lg" check from.lg >from.out 2>from.err
says from.err "W0605"
check "and in a check" $?
run whole.lg 2>&1 | grep -q W0605
check "nothing is told of a whole record" $((!$?))

# Runs that differ in run-time parameters share a plan and what was compiled of it; a static one asks
# for another. The numbers are those of a run alone.
cat >sweep.lg <<'END'
model Net(H) {
  part a = Linear(4, H)
  part b = Linear(H, 1)
  fn call(x: float[...S, 4]) -> float[...S, 1] = x |> a |> relu |> b
}
data pts() { field x: float[4] = rand normal([4]); field y: float = x[0] - 2*x[1] }
train fit(lr = 0.01, wd = 0.0, width: i64 = 8, n: i64 = 3) {
  part net = Net(width)
  data = pts() |> take(32) |> batch(8)
  loss = scan (e = 0.0) for i in 0..2 { e' = e + (1 - wd)*mean((net(x)[:, 0] - y)^2) + i*lr }
  optimizer = adamw(lr=warmup(peak=lr, warm=2), wd=wd/3)
  max_steps = n
}
END
with() { # with NAME STATEMENTS: a program of its own
    cat sweep.lg - >"$1.lg" && run "$1.lg" --quiet --profile --threads 1 >"$1.out" 2>"$1.err"
}
with sweep-lr <<<'for lr in [0.3, 0.01, 0.02, 2/3, 0.5] { print "{(run fit(lr=lr, wd=lr/7)).loss:.17g}" }'
says sweep-lr.err "plans of steps and evaluations: 1 made, 5 wanted"
check "five learning rates, one plan" $?
for lr in 0.3 0.01 0.02 2/3 0.5; do
    with alone <<<"print \"{(run fit(lr=$lr, wd=$lr/7)).loss:.17g}\"" && cat alone.out
done >alone.all
cmp -s sweep-lr.out alone.all && [ "$(sort -u alone.all | wc -l)" -eq 5 ]
check "a shared plan gives the bits of a run alone" $?
with sweep-n <<<'for k in [2, 3, 4] { let r = run fit(n=k); print "{r.steps}" }'
says sweep-n.err "1 made, 3 wanted" && [ "$(tr '\n' ' ' <sweep-n.out)" = "2 3 4 " ]
check "a setting of the run leaves the plan as it is" $?
with sweep-width <<<'for h in [8, 16, 8] { let r = run fit(width=h); print "{r.steps}" }'
says sweep-width.err "2 made, 3 wanted"
check "a static parameter asks for a plan of its own" $?
cat >full.lg <<'END'
model Net(H, p) {
  part a = Linear(4, H)
  part b = Linear(H, 1)
  fn call(x: float[...S, 4]) -> float[...S, 1] = x |> a |> relu |> dropout(p=p) |> b
}
quantizer q8(r = 0.9) {
  state peak: float = 0.0
  fn observe(w, input) { peak' = max(r*peak, max(abs(w))) }
  fn encode(w: float[...S]) -> {codes: i8[...S], scale: float} { let s = max(peak, 1e-8)/127; return {codes: i8(clamp(round(w/s), -127, 127)), scale: s} }
  fn decode(q) = float(q.codes) * q.scale
}
data pts() { field x: float[4] = rand normal([4]); field y: float = x[0] - 2*x[1] }
schedule saw(peak, period: i64) = peak * (1 - (step % period)/period)
train fit(lr = 0.01, wd = 0.1, p = 0.3, k: i64 = 3, on: bool = true, c = 1.5, r = 0.7, every: i64 = 4) {
  part net = Net(8, p)
  state ema: float = lr
  data = pts() |> take(64) |> shuffle(seed=1) |> batch(16)
  let z = if lr > 0.05 then net(x)*2 else net(x)
  loss fit = (z[:, 0] - y)^2
  loss pen = wd*sum(net.a.w^2) + (if on then lr else 0.0)
  ema' = ema*r + (1 - r)*stop_grad(loss)
  optimizer = lookahead(adamw(lr=saw(lr, k + 3), wd=wd), k=k, alpha=r)
  clip = c
  micro = 2
  max_steps = 9
  quantize `net.a.w` with q8(r)
  eval pts() |> take(2000) every 2 steps { err = mean((net(x)[:, 0] - y)^2) + lr; hit = mean(abs(y))*c }
  when step % every == 0 { print "s {step} {lr} {loss:.9g} {lr*2 + 1}" }
  metric m = norm(grad(loss, wrt=net))*r
}
END
shows='print "{r.loss:.17g} {r.err:.17g} {r.hit:.17g} {r.m:.17g} {r.ema:.17g} {sum(r.net(ones([3, 4]))):.9g}"'
cp full.lg full-all.lg
: >full.alone
while read -r args; do
    echo "for r in [run fit($args)] { $shows }" >>full-all.lg
    { cat full.lg && echo "let r = run fit($args)" && echo "$shows"; } >full-one.lg
    run full-one.lg --quiet --threads 1 >>full.alone 2>/dev/null
done <<'END'
lr=0.01
lr=0.1, wd=0.0
p=0.0, on=false
k=5, c=0.01, r=0.5
every=2, lr=1
lr=2/3, r=1/3, c=100
lr=0.01, wd=0.3
END
run full-all.lg --quiet --threads 1 >full.out 2>full.err
cmp -s full.out full.alone && [ "$(wc -l <full.alone)" -gt 20 ]
check "in evals, parts, branches, rules and quantizers too" $?
if command -v cc >/dev/null; then
    XDG_CACHE_HOME=$scratch/compiled run sweep-lr.lg --quiet --threads 1 --jit=on >jit.out 2>jit.err
    cmp -s jit.out sweep-lr.out && [ "$(find compiled -type f | wc -l)" -eq 1 ]
    check "five learning rates, compiled once" $?
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
