#!/usr/bin/env bash
# run.sh: attention stores nothing of queries times keys: by the graphs that plans are made from, for
# each kind of mask, forward and backward; its memory at many positions; where weights are asked
# for, they are there. Programs of every kind, run in every way. Values stand in
# tests/lang/attention-kinds.lg.
set -u
cd "$(dirname "$0")/../.." || exit 2
lg=$(realpath "${LG:-build/lg}")
passed=0 failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# check NAME COMMAND...: counts whether the command succeeds
check() {
    local name=$1
    shift
    if "$@" >"$scratch/said" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $name"
        head -n 5 "$scratch/said" | sed 's/^/    /'
    fi
}

# train EXPRESSION [MORE]: a step that differentiates sum(w*EXPRESSION) by q, k and v of T positions;
# MORE: definitions before it.
train() {
    cat >"$scratch/x.lg" <<END
dim T = 96
${2:-}
train step {
  param q = rand normal([2, 4, T, 16])
  param k = rand normal([2, 4, T, 16])
  param v = rand normal([2, 4, T, 16])
  let w[b in 0..2, h in 0..4, i in T, c in 0..16] = sin(1.0*c + i + 3*h + 5*b)
  loss = sum(w*($1))
  optimizer = sgd(1e-4)
  max_steps = 2
}
let r = run step()
print "{r.loss:.5g}"
END
}
graph() { "$lg" run --quiet "$scratch/x.lg" --dump=grad; }
strips() { # both kernels, and no floats of T x T
    graph >"$scratch/graph"
    grep -q 'attend(' "$scratch/graph" && grep -q 'attend_grad(' "$scratch/graph" &&
        ! grep -E 'f(32|64)\[([0-9]+, )*96, ([0-9]+, )*96\]' "$scratch/graph"
}
stored() { # no kernel, and exponentials of T x T
    graph >"$scratch/graph"
    ! grep -q 'attend' "$scratch/graph" && grep -q 'exp(.*96, 96\]' "$scratch/graph"
}
same() { # as it was built, and by strips
    "$lg" run --quiet "$scratch/x.lg" >"$scratch/a" &&
        "$lg" run --quiet "$scratch/x.lg" --no-simplify >"$scratch/b" && diff "$scratch/a" "$scratch/b"
}
each_way() { # the same bits
    (cd "$scratch" && "$lg" run --quiet x.lg --jit=off --threads 1 >one) || return 1
    for way in '--threads 2 --jit=off' '--threads 3 --jit=off' '--threads 2 --jit=on' '--no-fuse --jit=off'; do
        # shellcheck disable=SC2086
        (cd "$scratch" && "$lg" run --quiet x.lg $way >other) && diff "$scratch/one" "$scratch/other" ||
            return 1
    done
    (cd "$scratch" && "$lg" build x.lg -o built >/dev/null && ./built --quiet >other) &&
        diff "$scratch/one" "$scratch/other"
}

scores='let s[b, h, i, j] = sum[c](q[b, h, i, c]*k[b, h, j, c])/sqrt(K)'
head='q: float[B, H, T, K], k: float[B, H, T, K], v: float[B, H, T, V]'
one() { # one NAME CONDITION: softmax and sum under the condition
    cat <<END
fn $1($head) -> float[B, H, T, V] {
  $scores
  let y[b, h, i, c] = sum[j where $2](softmax[j where $2](s[b, h, i, j])*v[b, h, j, c])
  return y
}
END
}
by_strips() {
    train "$2" "${3:-}"
    check "$1: kernels" strips
    check "$1: values" same
}
by_strips 'no mask' 'attention(q, k, v, causal=false)'
by_strips causal 'attention(q, k, v)'
by_strips offset 'f(q, k, v)' "$(one f 'j <= i - 3')"
by_strips 'both ends' 'f(q, k, v)' "$(one f 'i - 9 < j <= i + 2')"
by_strips windows 'window_attention(q, k, v, 12)'
by_strips padding 'masked_attention(q, k, v, key_mask(keep, 96))' \
    'let keep[b in 0..2, j in 0..96] = j < 80 + b'
by_strips 'a pattern and a bound' 'f(q, k, v)' "$(one f 'j <= i and (i + j) % 3 != 1')"
by_strips 'fewer heads' 'grouped_attention(q, k[:, :2], v[:, :2])'
by_strips 'one head' 'grouped_attention(q, k[:, :1], v[:, :1], causal=false)'
by_strips matrices 'softmax(q @ permute(k, [0, 1, 3, 2])/4, axis=-1) @ v'
by_strips 'steep scores' 'attention(60*q, k, v)'
by_strips 'computed again' 'f(q, k, v)' \
    "fn f($head) -> float[B, H, T, V] = remat(attention(q, k, v))"

# scores that are left out by their value, whichever comes first
chosen() { # chosen NAME SCORE [WEIGHTS]: the sum of values by weights, the softmax of SCORE
    cat <<END
fn $1($head) -> float[B, H, T, V] {
  $scores
  let m[b, h, i, j] = $2
  let p[b, h, i, j] = ${3:-softmax[j](m[b, h, i, j])}
  let y[b, h, i, c] = sum[j](p[b, h, i, j]*v[b, h, j, c])
  return y
}
END
}
as_where() { # as_where CONDITION: as the softmax under the condition
    "$lg" run --quiet "$scratch/x.lg" >"$scratch/a"
    train 'f(q, k, v)' "$(one f "$1")"
    "$lg" run --quiet "$scratch/x.lg" >"$scratch/b" && diff "$scratch/a" "$scratch/b"
}
by_value() { # by_value NAME SCORE CONDITION [WEIGHTS]
    by_strips "left out by value, $1" 'f(q, k, v)' "$(chosen f "$2" "${4:-}")"
    check "left out by value, $1: in every way" each_way
    check "left out by value, $1: as where" as_where "$3"
}
by_value causal 'if j > i then -inf else s[b, h, i, j]' 'j <= i'
by_value 'the other way round' 'if j <= i then s[b, h, i, j] else -inf' 'j <= i'
by_value windows 'if j > i or j < i - 9 then -inf else s[b, h, i, j]' 'i - 9 <= j <= i'
by_value 'queries without keys' 'if j >= i - 2 then -inf else s[b, h, i, j]' 'j < i - 2'
by_value 'a pattern' 'if not ((i + j) % 3 != 1) then -inf else s[b, h, i, j]' '(i + j) % 3 != 1'
by_value padding 'if j % 7 == 3 then -inf else s[b, h, i, j]' 'j % 7 != 3'
by_value 'padding, causal' 'if j % 7 == 3 or j > i then -inf else s[b, h, i, j]' 'j % 7 != 3 and j <= i'
by_value 'one choice in another' 'if j % 7 == 3 then -inf else if j > i then -inf else s[b, h, i, j]' \
    'j % 7 != 3 and j <= i'
by_value 'a choice under a condition' 'if j % 7 == 3 then -inf else s[b, h, i, j]' \
    'j % 7 != 3 and j <= i' 'softmax[j where j <= i](m[b, h, i, j])'
train 'f(q, k, v)' "$(chosen f 'if j > i then -1e9 else s[b, h, i, j]')"
check 'a number instead of -inf: stored' stored

# a softmax that gives a query without keys no number: strips only where every query has keys
own='exp(m[b, h, i, j])/sum[l](exp(m[b, h, i, l]))'
by_strips 'every query has keys' 'f(q, k, v)' \
    "$(chosen f 'if j > i then -inf else s[b, h, i, j]' "$own")"
no_number() { # for the first query; and there are no strips
    graph >"$scratch/graph"
    ! grep -q 'attend' "$scratch/graph" && ! "$lg" run --quiet "$scratch/x.lg" >"$scratch/a" 2>&1 &&
        grep -q 'R0102' "$scratch/a"
}
for score in 'if j >= i then -inf else s[b, h, i, j]' 'if j < i then s[b, h, i, j] else -inf'; do
    train 'f(q, k, v)' "$(chosen f "$score" "$own")"
    check "no number: $score" no_number
done

# biases are arrays of the program's own, of heads at most
train 'biased_attention(q, k, v, alibi(4, 96))'
check 'biases: values' same
graph >"$scratch/graph"
check 'biases: kernels' grep -q 'attend_grad(' "$scratch/graph"
check 'biases: no scores' bash -c "! grep -q '\[2, 4, 96, 96\]' '$scratch/graph'"

# weights that are asked for, dropped, or of another kind
train 'attention(q, k, v) + sum(p^2)'
sed -i 's/  loss = /  let s[b, h, i, j] = sum[c](q[b, h, i, c]*k[b, h, j, c])\/4\n  let p[b, h, i, j] = softmax[j where j <= i](s[b, h, i, j])\n  loss = /' "$scratch/x.lg"
check 'weights that are shown: stored' stored
check 'weights that are shown: values' same
train 'f(q, k, v)' "fn f($head) -> float[B, H, T, V] {
  $scores
  let p[b, h, i, j] = dropout(softmax[j where j <= i](s[b, h, i, j]), p=0.1)
  let y[b, h, i, c] = sum[j](p[b, h, i, j]*v[b, h, j, c])
  return y
}"
check 'dropped weights: stored' stored
check 'dropped weights: values' same

# memory: 4096 positions, whose scores would take 256 MB a head
cat >"$scratch/long.lg" <<'END'
train step {
  param q = rand normal([1, 2, 4096, 32])
  param k = rand normal([1, 2, 4096, 32])
  param v = rand normal([1, 2, 4096, 32])
  loss = sum(attention(q, k, v)^2)
  optimizer = sgd(1e-4)
  max_steps = 1
}
run step()
END
check 'many positions' "$lg" run --quiet --mem 120M "$scratch/long.lg"

# a step of a loop: keys and values up to its index, which nothing beyond is asked of
steps() { # steps SCORE [SHOWN [QUERIES]]: the scores as SCORE; SHOWN: what else is shown of them
    cat >"$scratch/x.lg" <<END
dim T = 96, G = 2, R = ${3:-2}, K = 32
train step {
  param w = rand normal([T, G, R, K])
  let r = scan (keys = zeros([G, T, K]), values = zeros([T, G, K])) for t in 0..T {
    let q = w[t]
    let s[g, h, j in 0..T] = $1
    let p[g, h, j] = softmax[j where j <= t](s[g, h, j]/4)
    let mix[g, h, c] = sum[j where j < t](p[g, h, j]*values[j, g, c])
    keys'[g, j, c] = if j == t then q[g, 0, c] else keys[g, j, c]
    values' = put(values, t, mix[:, 0] + q[:, 1])
    yield {y: mix, s}
  }
  metric check = sum(abs(r.y))${2:-}
  max_steps = 1
}
let r = run step()
print "{r.history.check[0]:.9g}"
END
}
ends() { graph | grep -q 'dot_rows(' && graph | grep -q 'dot_prefix('; }
goes_on() { graph >"$scratch/graph" && ! grep -q 'dot_rows(' "$scratch/graph"; }
alike() { # as it was built, but for the order of sums, and by steps that end
    "$lg" run --quiet "$scratch/x.lg" >"$scratch/a" &&
        "$lg" run --quiet "$scratch/x.lg" --no-simplify >"$scratch/b" &&
        diff <(cut -c 1-6 "$scratch/a") <(cut -c 1-6 "$scratch/b")
}
scores='sum[c](q[g, h, c]*keys[g, j, c])'
steps "$scores"
check 'a step: scores end' ends
check 'a step: values' alike
check 'a step: in every way' each_way
steps "if t < j then -1 else $scores"
check 'a step, the other way round: scores end' ends
check 'a step, the other way round: values' alike
steps "$scores" '' 12
check 'a step of many queries: scores end' ends
check 'a step of many queries: values' alike
check 'a step of many queries: in every way' each_way
steps "$scores" ' + sum(r.s[T - 1])'
check 'scores that are shown: all of them' goes_on
cat >"$scratch/x.lg" <<'END'
train step {
  part att = GroupedQueryAttention(256, 8, 2)
  let x = rand normal([96, 1, 256])
  let r = scan (kept = att.cache(1, 96)) for t in 0..96 {
    let s = att.step(x[t], kept, t)
    kept' = s.kept
    yield {y: s.y}
  }
  metric apart = max(abs(r.y[:, 0] - att(permute(x, [1, 0, 2]))[0]))
  max_steps = 1
}
let r = run step()
print r.history.apart[0] < 1e-5
END
rows_of_cache() {
    graph >"$scratch/graph" && grep -q 'dot_rows(' "$scratch/graph" && grep -q 'dot_prefix(' "$scratch/graph" &&
        [ "$(grep -c 'scatter_put(' "$scratch/graph")" = 2 ] && "$lg" run --quiet "$scratch/x.lg" | grep -qx true
}
check 'a cache: a row of it is written, and what was written is read' rows_of_cache

# the same bits in every way: of heads a thread each, and of pieces of heads
for length in 41 290; do
    sed "s/T = 41/T = $length/" tests/jit/attention.lg >"$scratch/x.lg"
    check "in every way, $length positions" each_way
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
