#!/usr/bin/env bash
# A user's own entry has every right that one of the library has. Modules of the library are copied,
# word for word but for their names, which get `my_` in front, into a program of a user; it runs the
# library's and its own side by side, and both must give the same bytes: for every example of a doc
# comment, every optimizer, and for trains with one entry of each kind, interpreted, with compiled
# kernels and built. `faults` are the rows of faults.txt: bad and empty input. What the library
# promises by itself: library.c. `run.sh losses` looks at one module.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
lg=$(realpath "${LG:-$root/build/lg}")
. "$root/tests/examples/common.sh"

declared() { grep -oE '^(fn|loss|optimizer|schedule|quantizer|model|data) [A-Za-z_0-9]+' "$root/stdlib/$1.lg" | cut -d' ' -f2 | sort -u; }
# The text of modules under other names; names.sed gives the public ones.
copied() {
    local m
    { # `rand normal` draws, and is no call of the initialiser of that name
        for m in "$@"; do declared "$m"; done | sed '/^_/d; s/.*/s|\\b&\\b|my_&|g/'
        echo 's/rand my_/rand /g'
    } >names.sed
    for m in "$@"; do
        { cat names.sed; declared "$m" | sed -n "/^_/s/.*/s|\\\\b&\\\\b|my_$m&|g/p"; } >all.sed
        sed -f all.sed "$root/stdlib/$m.lg" | grep -v '^#'
    done
}
examples() { sed -n 's/^## example: \(.*\) ~ .*$/\1/p' "$root/stdlib/$1.lg"; }

# theirs-1.npy and mine-1.npy and so on are the same files.
compare_files() { # WHAT N
    local i
    for ((i = 1; i <= $2; i++)); do
        [ -s "theirs-$i.npy" ] && cmp -s "theirs-$i.npy" "mine-$i.npy" && ok ||
            fail "$1: $(sed -n "${i}p" list) differs from its copy"
    done
    rm -f theirs-*.npy mine-*.npy
}

# ---- every example --------------------------------------------------------------------------------

own_examples() { # MODULE
    cp "$root/stdlib/$1.lg" whole.lg # under its own names, as another's program
    runs 0 "$1 as a program" "$lg" check --quiet whole.lg
    examples "$1" >list
    [ -s list ] || return 0
    {
        copied "$1"
        echo 'entry main {'
        awk '{ printf "  write \"theirs-%d.npy\", %s\n", NR, $0 }' list
        sed -f names.sed list | awk '{ printf "  write \"mine-%d.npy\", %s\n", NR, $0 }'
        echo '}'
    } >own.lg
    runs 0 "$1 copied" "$lg" run --quiet own.lg main
    compare_files "$1" "$(wc -l <list)"
}

# ---- every optimizer ------------------------------------------------------------------------------

own_optimizers() {
    { # those whose settings all have a default, and the others by hand
        grep -h '^optimizer' "$root/stdlib/optimizers.lg" "$root/stdlib/optimizers_adaptive.lg" | grep -vE ': (fn\(|R\b|optimizer)' |
            sed 's/^optimizer \([a-z_0-9]*\).*/\1()/' | sort -u
        echo 'lookahead(adamw(0.01), k=2)'
        echo 'grad_accumulation(lion(0.01), accumulate=2)'
        echo 'ema(sgd(0.1, momentum=0.9), decay=0.5)'
        echo 'sophia(1 + W^2, lr=0.01)'
        echo 'prodigy(d0=0.01)'
        echo 'sam(fn (q) = value_and_grad(bowl, at=q), adam(0.01))'
        echo 'lbfgs(fn (q) = value_and_grad(bowl, at=q), history_size=3)'
    } >list
    {
        copied optimizers optimizers_adaptive
        cat <<'LG'
entry main {
  let W[i in 0..3, j in 0..4] = sin(float(4*i + j)) + 0.1
  let bowl = fn (q) = sum((q - 0.3)^2*W^2)
LG
        awk '{ printf "  write \"theirs-%d.npy\", scan (p = W) for i in 0..5 { p'\'' = %s(p, grad(bowl, at=p)) }\n", NR, $0 }' list
        sed -f names.sed list |
            awk '{ printf "  write \"mine-%d.npy\", scan (p = W) for i in 0..5 { p'\'' = %s(p, grad(bowl, at=p)) }\n", NR, $0 }'
        echo '}'
    } >own.lg
    runs 0 "optimizers copied" "$lg" run --quiet own.lg main
    compare_files optimizers "$(wc -l <list)"
}

# ---- trains ---------------------------------------------------------------------------------------

# One train by the library's entries and one by the copies, which is the same text under other names.
# Both start from one model, for random draws are told apart by the names of what draws.
own_trains() {
    cat >trains.txt <<'LG'
model WIDE_net(H) {
  part into = Linear(8, H)
  part n = BatchNorm(H)
  part out = Linear(H, 3)
  fn call(x: float[B, 8]) -> float[B, 3] = x |> into |> n |> relu |> out
}
train WIDE(start: R) {
  part net = WIDE_net(5) from start
  data = points |> shuffle(seed=3) |> batch(16)
  loss = cross_entropy_loss(net(x), y, label_smoothing=0.1)
  optimizer = lookahead(adamw(lr=one_cycle_lr(0.05, total_steps=40)), k=3)
  phase plain { max_steps = 25 }
  phase coded {
    max_steps = 15
    quantize `net.*.w` with int_sym(bits=4)
    quantize `net.into.output` with int_affine()
  }
  eval points every 2 epochs { area = auc(net(x)[:, 0], i32(y == 0)) }
  save "WIDE" every 100 epochs
}
train DEEP(start: R) {
  part net = WIDE_net(7) from start
  data = points |> batch(32)
  loss = focal_loss(net(x), y)
  optimizer `net.into.*` = grad_accumulation(muon_or_sgd(cosine(0.05, warm=3)), accumulate=2)
  optimizer `net.**` = ema(lion(0.01), decay=0.9)
  max_steps = 20
}
optimizer muon_or_sgd(lr) for p: float[M, N] { p' = muon(lr=lr)(p, g) }
optimizer muon_or_sgd(lr) { p' = sgd(lr=lr)(p, g) }
LG
    {
        copied losses optimizers schedules quantizers metrics layers
        echo 's|\bmuon_or_sgd\b|my_&|g' >>names.sed
        echo 'data points = gaussians(classes=3, dim=8, n=96)'
        sed 's/WIDE/wide/g; s/DEEP/deep/g' trains.txt
        sed -f names.sed trains.txt | sed 's/WIDE/my_wide/g; s/DEEP/my_deep/g'
        cat <<'LG'
entry main {
  part small = wide_net(5)
  part large = wide_net(7)
  let a = run wide({...small})
  let b = run my_wide({...small})
  let c = run deep({...large})
  let d = run my_deep({...large})
  write "theirs-1.npy", a.history.loss
  write "mine-1.npy", b.history.loss
  write "theirs-2.npy", a.history.area
  write "mine-2.npy", b.history.area
  write "theirs-3.npy", a.net(rows_of(points).x)
  write "mine-3.npy", b.net(rows_of(points).x)
  write "theirs-4.npy", c.history.loss
  write "mine-4.npy", d.history.loss
  write "theirs-5.npy", c.net(rows_of(points).x)
  write "mine-5.npy", d.net(rows_of(points).x)
}
LG
    } >own.lg
    printf '%s\n' "the loss of a train" "its metric" "its model" "the loss of another" "its model" >list
    runs 0 "trains, interpreted" "$lg" run --quiet --jit off own.lg main
    cat theirs-*.npy >first
    compare_files interpreted 5
    runs 0 "trains, compiled" "$lg" run --quiet --jit on own.lg main
    cat theirs-*.npy | cmp -s - first && ok || fail "compiled kernels give other bytes"
    compare_files compiled 5
    runs 0 "trains, build" "$lg" build own.lg -o own
    runs 0 "trains, built" ./own --quiet main
    cat theirs-*.npy | cmp -s - first && ok || fail "the executable gives other bytes"
    compare_files built 5
}

# ---- bad input ------------------------------------------------------------------------------------

faults() {
    local row want got status name module
    while IFS= read -r row; do
        [[ $row == *'  => '* ]] || continue
        want=${row##*  => }
        printf 'print %s\n' "${row%  => *}" >fault.lg
        got=$(ulimit -v 8000000; exec timeout 20 "$lg" run --quiet fault.lg 2>&1 </dev/null)
        status=$?
        got=$(sed -E '1s/^(error|runtime)\[([ER][0-9]+)\]/\2/; q' <<<"$got")
        if [[ $want =~ ^[ER][0-9]{4}: ]]; then
            [ $status -eq 1 ] && [ "$got" = "$want" ] && ok || fail "$row, got $status, $got"
        else
            [ $status -eq 0 ] && [ "$got" = "$want" ] && ok || fail "$row, got $status, $got"
        fi
    done <"$root/tests/stdlib/faults.txt"
    for module in $(cd "$root/stdlib" && ls -- *.lg | sed 's/\.lg$//'); do
        [ "$module" = subspaces ] && continue # optimizers that only trains apply: tests/lang
        for name in $(declared "$module" | grep -v '^_'); do
            grep -q "\b$name(.*  => \|^$name: " "$root/tests/stdlib/faults.txt" ||
                grep -q "\b$name(.*  # " "$root/tests/errors/calls.txt" && ok ||
                fail "$name has no row in faults.txt"
        done
    done
}

# A batch in which every label is ignored: loss 0, nothing moves, and a warning that says so, once.
nothing_counts() {
    local loss
    for loss in 'cross_entropy_loss(net(x), y)' 'nll_loss(log_softmax(net(x)), y)' 'focal_loss(net(x), y)' \
        'supcon_loss(net(x), id)' 'cross_entropy(net(x), 0*y, weight=0*x[:, 0])'; do
        cat >nothing.lg <<LG
data d from rows(x=ones([8, 3]), y=i32([0, 1, 2, 0, -100, -100, -100, -100]), id=i32(arange(8))) { }
train t {
  part net = Linear(3, 3)
  data = d |> batch(4)
  loss = $loss
  optimizer = sgd(0.1)
  epochs = 2
  metric slope = norm(grad(loss, wrt=net))
}
entry main {
  let {history} = run t()
  print "loss {history.loss[1]}, gradient {history.slope[1]}"
}
LG
        runs 0 "$loss" "$lg" run --quiet nothing.lg main
        complains '^warning\[W0604\]: at step [01] no item of this loss has weight'
        [ "$(grep -c W0604 err)" -eq 1 ] && ok || fail "$loss: said more than once"
        says '^loss 0, gradient 0$'
    done
}

# ---- what optimizers keep -------------------------------------------------------------------------

# `lg check` says how many bytes each rule keeps, by state and by parameter, and a save holds those
# bytes and no others: its header is read.
state_sizes() {
    cat >sizes.lg <<'LG'
model Net {
  part l[3] = Linear(8, 8)
  part out = Linear(8, 3)
  fn call(x: float[B, 8]) -> float[B, 3] = chain(l, x) |> out
}
data points = gaussians(classes=3, dim=8, n=96)
train fit {
  part net = Net()
  param scale: float = 1.0
  data = points |> batch(32)
  loss = cross_entropy(scale*net(x), y)
  optimizer `net.**.b` = sgd(0.1, momentum=0.9)
  optimizer `net.l[0].w` = sgd(0.1)
  optimizer `net.l[1].w` = adafactor(0.05)
  optimizer `net.**` = muon(0.05)
  optimizer `scale` = lookahead(adam(0.05))
  max_steps = 6
  save "sizes" every 3 steps
}
LG
    runs 0 check "$lg" check sizes.lg
    # buf of 3*8 + 3 biases; adafactor: 8 rows and 8 columns; muon: l[2].w and out.w; scale: slow, m, v
    says '^  for each parameter: net\.l\[\*\]\.b 96 B, net\.out\.b 12 B, net\.l\[\*\]\.w 320 B, net\.out\.w 96 B, scale 12 B$'
    says '^  optimizer state: .*net\.optimizer\.buf 108 B.*net\.optimizer3\.row 32 B, net\.optimizer3\.col 32 B.*scale\.optimizer\.base\.m 4 B'
    grep '^  optimizer state: ' out | sed 's/.*state: //' | tr ',' '\n' | awk '{ n += $2 } END { print n }' >told
    runs 0 run "$lg" run --quiet sizes.lg
    local save=sizes/step-00000006.safetensors header
    header=$(od -An -tu8 -N8 "$save" | tr -d ' ')
    tail -c +9 "$save" | head -c "$header" >header
    grep -oE '"[a-z]+\.optimizer[^"]*":\{"data_offsets":\[[0-9]+,[0-9]+\]' header |
        sed 's/^"\([^"]*\)".*\[\(.*\),\(.*\)\]/\1 \2 \3/' >kept
    at_least "bytes of optimizers in the save" "$(awk '{ n += $3 - $2 } END { print n }' kept)" "$(cat told)"
    at_most "bytes of optimizers in the save" "$(awk '{ n += $3 - $2 } END { print n }' kept)" "$(cat told)"
    grep -q '^net.optimizer2.*l\[0\].w' kept && fail "plain descent keeps something" || ok
    at_most "bytes of the file beside its header and parameters" \
        $(($(stat -c %s "$save") - 8 - header - $(cat told) - 4*(3*72 + 27 + 1))) 0
}

if [ $# -eq 0 ]; then
    set -- nothing_counts state_sizes faults rules trains
    for module in "$root"/stdlib/*.lg; do set -- "$@" "$(basename "$module" .lg)"; done
fi
for what in "$@"; do
    case $what in
    faults | nothing_counts | state_sizes) "$what" ;;
    rules) own_optimizers ;;
    trains) own_trains ;;
    *) own_examples "$what" ;;
    esac
done
summary
