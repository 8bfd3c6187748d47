#!/usr/bin/env bash
# run.sh: the tools beside run and build: fmt, info, diff, plot, report, doc, completion, man.
set -u
cd "$(dirname "$0")/../.." || exit 2
lg=$(realpath "${LG:-build/lg}")
passed=0 failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
good() { passed=$((passed + 1)); }
bad() {
    failed=$((failed + 1))
    echo "FAILED $*"
}
# expect STATUS TEXT COMMAND...: the exit status, and a text somewhere in what is printed
expect() {
    local status=$1 text=$2 out got
    shift 2
    out=$("$@" 2>&1 </dev/null)
    got=$?
    if [ "$got" -eq "$status" ] && [[ $out == *"$text"* ]]; then
        good
    else
        bad "$* (exit status $got, wanted $status and \`$text\`)"
        printf '%s\n' "$out" | head -n 5 | sed 's/^/    /'
    fi
}

# ---- help: every command has its page, from the table that its options are read by ----
while read -r command; do
    expect 0 "lg $command" "$lg" "$command" --help
done < <("$lg" --help | sed -n 's/^  lg \([a-z]*\) .*/\1/p')
expect 0 '--tol X' "$lg" diff --help
expect 0 '--with NAME=VALUE' "$lg" build --help

# ---- fmt ----
expect 0 '' "$lg" fmt --check stdlib/*.lg bench/*.lg examples/*.lg examples/papers/*.lg
# Of every program of the tree the tidy text has the same tree, and is a fixed point.
mapfile -t programs < <(find stdlib examples bench tests -name '*.lg' | sort)
mkdir "$scratch/was" "$scratch/is"
tar -cf - "${programs[@]}" | tar -xf - -C "$scratch/was"
cp -r "$scratch/was/." "$scratch/is"
"$lg" fmt "${programs[@]/#/$scratch/is/}" >/dev/null 2>&1
tree() { (cd "$scratch/$1" && "$lg" check --dump=ast "$2" 2>/dev/null); }
for f in "${programs[@]}"; do
    before=$(tree was "$f") || continue # not a program: one of tests/errors
    after=$(tree is "$f")
    before=$(sed 's/ *@[0-9]*-[0-9]*$//' <<<"$before") after=$(sed 's/ *@[0-9]*-[0-9]*$//' <<<"$after")
    if [ "$before" = "$after" ]; then good; else bad "fmt changes the tree of $f"; fi
    "$lg" fmt --check "$scratch/is/$f" >/dev/null && good || bad "fmt of fmt differs: $f"
done
fmt() { # fmt TEXT: what is made of it
    printf '%s' "$1" | "$lg" fmt -
}
[ "$(fmt 'let  f = fn (x)=x*  2 # c')" = 'let f = fn (x) = x*2  # c' ] && good || bad "fmt: spaces"
wide=$(fmt "fn f(x) { let aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa = 1; let bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb = 2; return x + 1 }")
[ "$(printf '%s\n' "$wide" | wc -l)" -eq 5 ] && good || bad "fmt: a block too wide for its line has a line a statement: $wide"
kept=$'fn f(x) = x\n  with vjp(dy) = {x: dy}'
[ "$(fmt "$kept")" = "$kept" ] && good || bad "fmt: a rule on its own line"
kept=$'fn f(x) {\n  return x\n} with vjp(dy) = {\n  x: dy\n}'
[ "$(fmt "$kept")" = "$kept" ] && good || bad "fmt: a rule behind a brace"
kept=$'data d(n: i64) from\n  around(n) |> take(n)'
[ "$(fmt "$kept")" = "$kept" ] && good || bad "fmt: a source on its own line"
expect 2 'wants a file' "$lg" fmt

# ---- info, diff ----
cat >"$scratch/t.lg" <<'END'
arg hidden: i64 = 5
data pts() { field x: float[3] = rand normal([3]); field y: i32 in 4 = rand below(4) }
train fit {
  part l = Linear(3, 4)
  data = pts() |> take(20) |> batch(5)
  loss = cross_entropy(l(x), y)
  optimizer = adam(lr=0.1)
  epochs = 3
  eval pts() |> take(50) every 1 epochs { acc = accuracy(l(x), y) }
  save "runs/t" every 1 epochs
}
entry more(n: i64 = 2) {
  let a = rand normal([2, 3])
  write "a.npy", a
  write "b.npy", a + 1e-6
  write "c.safetensors", {a, n: i64([1, 2])}
  write "d.safetensors", {a, n: i64([1, 3])}
  write "e.safetensors", {a: i32(a)}
}
END
npz=$PWD/tests/host/files/b.npz
cd "$scratch" || exit 2
expect 0 'fit: 12 steps' "$lg" run t.lg --log t.jsonl --seed 7
expect 0 '' "$lg" run t.lg more
for text in ': checkpoint' 'program    t.lg' 'train      fit' 'arguments  hidden=5' 'seed       7' 'step       12' \
    'checksums  good' 'f32      [4, 3]                          12        48 B' '7 arrays, 49 values, 200 B'; do
    expect 0 "$text" "$lg" info runs/t
done
expect 0 'f32      [2, 3]' "$lg" info a.npy
expect 0 'b.npz: npz' "$lg" info a.npy "$npz" d.safetensors
expect 0 'd.safetensors: safetensors' "$lg" info a.npy "$npz" d.safetensors
expect 0 'program    t.lg' bash -c "\"$lg\" build t.lg -o t && \"$lg\" info t"
save=runs/t/step-00000012.safetensors
head -c $(($(stat -c %s $save) - 9)) $save >cut.safetensors
expect 1 'E0608' "$lg" info cut.safetensors
cp $save flipped.safetensors
printf '\377' | dd of=flipped.safetensors bs=1 seek=$(($(stat -c %s $save) - 3)) conv=notrunc 2>/dev/null
expect 1 'damaged: its checksum differs' "$lg" info flipped.safetensors
expect 1 'E0601' "$lg" info nowhere
expect 1 'E0721' "$lg" info "$lg"
for f in a.npy "$npz" $save; do # every truncation is an error, and no crash
    for n in 0 1 5 9 40 100; do
        head -c $n $f >"short.${f##*.}"
        expect 1 'error[E06' "$lg" info "short.${f##*.}"
    done
done
expect 0 '7 of 7 arrays are equal' "$lg" diff runs/t $save
expect 1 'l.optimizer.t: 1 of 1 values differ, by 4 at most' "$lg" diff runs/t runs/t/step-00000008.safetensors
expect 1 'array: 6 of 6 values differ, by 1' "$lg" diff a.npy b.npy
expect 0 'agree within the tolerance' "$lg" diff a.npy b.npy --tol 2e-6
expect 1 'array: ' "$lg" diff a.npy b.npy --tol 1e-8
expect 1 'n: 1 of 2 values differ, by 1 at most (relative 0.333), first at [1]' "$lg" diff c.safetensors d.safetensors
expect 1 'a: f32[2, 3] here, i32[2, 3] there' "$lg" diff c.safetensors e.safetensors
expect 1 'n: only in c.safetensors' "$lg" diff c.safetensors e.safetensors
expect 1 'n: only in c.safetensors' "$lg" diff e.safetensors c.safetensors
[ -z "$("$lg" diff a.npy b.npy --quiet)" ] && good || bad "diff --quiet prints"
expect 2 'E0601' "$lg" diff a.npy nowhere
expect 2 'E0608' "$lg" diff a.npy cut.safetensors
expect 2 'wants two files' "$lg" diff a.npy
expect 2 '--tol wants a number' "$lg" diff a.npy b.npy --tol x

# ---- plot ----
cat >shown.lg <<'END'
# shown.lg: everything that a report can show.
arg width: i64 = 4    ## columns of the picture
data pts() { field x: float[3] = rand normal([3]); field y: i32 in 4 = rand below(4) }
train fit(lr = 0.1) {
  part l = Linear(3, 4)
  data = pts() |> take(40) |> batch(5)
  loss = cross_entropy(l(x), y)
  optimizer = adam(lr)
  epochs = 3
  eval pts() |> take(50) every 1 epochs { acc = accuracy(l(x), y) }
}
entry all(grey: f64 = 0.5) {
  let first = run fit()
  let second = run fit(lr=0.01)
  print "one <line> & more"
  table {lr: 0.1, name: "a<b"}
  table {lr: 0.01, name: "c"}
  plot first.history.loss
  accept 1 < 2, "one is below two"
  accept 2 < 1, "two is below one"
  write "counts.npy", float([[5, 1], [2, 7]])
  let picture[i in 0..16, j in 0..16, c in 0..3] = 255.0*i/16
  write "red.png", u8(picture)
  let tone[i in 0..800] = sin(0.1*i)
  write "tone.wav", float(tone)
  write "list.txt", "text"
}
END
expect 1 'one <line>' "$lg" run shown.lg all --log shown.jsonl --quiet
expect 0 'acc' "$lg" plot t.jsonl
expect 0 'fit: 12 points' "$lg" plot t.jsonl --columns loss
expect 0 'fit #2: 24 points' "$lg" plot shown.jsonl --columns loss
expect 0 't: 12 points' "$lg" plot t.jsonl shown.jsonl --columns loss
expect 0 'l.w' "$lg" info runs/t
expect 0 'fit: 3 points' "$lg" plot runs/t --columns acc
[[ $("$lg" plot t.jsonl --columns loss) == *acc* ]] && bad "plot --columns loss draws acc" || good
expect 1 'there is loss, acc' "$lg" plot t.jsonl --columns los
expect 1 'line 1 is no JSON object' "$lg" plot t.lg
: >empty.jsonl
expect 1 'no step is logged here' "$lg" plot empty.jsonl
expect 1 'E0601' "$lg" plot nowhere.jsonl
expect 2 '.svg or .html' "$lg" plot t.jsonl -o x.png
expect 2 'wants a log' "$lg" plot
coloured=$(TERM=xterm script -qec "'$lg' plot t.jsonl shown.jsonl --columns acc" /dev/null </dev/null)
[[ $coloured == *$'\033[34m'*$'\033[31m'* ]] && good || bad "plot on a terminal has a colour a run"
[[ $("$lg" plot t.jsonl) == *$'\033'* ]] && bad "plot into a pipe has colours" || good
head -c -20 t.jsonl >going.jsonl # a run that goes on: the last line is not whole yet
expect 0 'acc' "$lg" plot going.jsonl
printf '{"step": 1, "loss": 1}\n{"step": \n{"step": 3, "loss": 2}\n' >broken.jsonl
expect 1 'line 2 is no JSON object' "$lg" plot broken.jsonl
printf '[1]\n' >list.jsonl
expect 1 'line 1 is no JSON object' "$lg" report list.jsonl
# The curve of the SVG is that of the log: the point of step i of n, between the largest and the least.
printf '{"step": %d, "loss": %d}\n' 1 10 2 20 3 0 4 10 >four.jsonl
expect 0 '' "$lg" plot four.jsonl -o four.svg
points=$(sed -n 's/.*class="c c0" d="\(M[0-9. ]*L[^"]*\)".*/\1/p' four.svg | head -n 1 | sed 's/[ML]/ /g')
read -r x1 y1 _ y2 x3 y3 x4 y4 <<<"$points"
close() { awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; exit !(d < 0.02 && d > -0.02) }'; }
close "$(awk -v a="$y2" -v b="$y3" 'BEGIN { print (a + b)/2 }')" "$y1" && close "$y1" "$y4" &&
    close "$(awk -v a="$x1" -v b="$x4" 'BEGIN { print a + (b - a)*2/3 }')" "$x3" && good ||
    bad "plot: the points of four.svg are not those of the log: $points"
# A long log makes a small picture, in which the one high value still stands.
awk 'BEGIN { for (i = 1; i <= 100000; i++) printf "{\"step\": %d, \"loss\": %d}\n", i, i == 777 ? 50 : i % 2 }' >long.jsonl
expect 0 '' "$lg" plot long.jsonl -o long.svg
[ "$(stat -c %s long.svg)" -lt 60000 ] && good || bad "long.svg has $(stat -c %s long.svg) bytes"
grep -q '[LM][0-9.]* 34\.00' long.svg && good || bad "the one high value is lost"
expect 0 '' "$lg" plot t.jsonl shown.jsonl -o curves.html
expect 0 'shown fit #1' cat curves.html

# ---- report ----
expect 0 'shown.html' "$lg" report shown.jsonl
for text in 'shown.lg' '>holds' '&#10007; falls short' 'one is below two' 'a&lt;b' 'one &lt;line&gt; &amp; more' 'lr=0.01' \
    'data:image/png;base64,' 'data:audio/wav;base64,' 'list.txt' 'Plan of fit' 'Graph of fit' 'class="matrix"'; do
    expect 0 "${text/>holds/holds}" cat shown.html
done
grep -qE '(src|href)="?(http|//)' shown.html && bad "a report that needs the network" || good
[ "$(grep -o 'class="c c[01]"' shown.html | wc -l)" -ge 10 ] && good || bad "curves of both runs"
expect 0 't.html' "$lg" report t.jsonl
for text in '<th>step</th>' '<td>12</td>'; do expect 0 "$text" cat t.html; done
expect 0 'saved.html' "$lg" report runs/t -o saved.html
expect 0 'l.optimizer.m.b' cat saved.html
expect 2 'wants a log' "$lg" report
expect 1 'E0601' "$lg" report nowhere
# What is logged for it is the same for every number of threads, compiled or not.
for n in 1 2; do
    "$lg" run shown.lg all --log "on-$n.jsonl" --quiet --threads $n --jit="$([ $n = 1 ] && echo on || echo off)" >/dev/null 2>&1
    sed -i 's/"seconds":[^,}]*//' "on-$n.jsonl"
done
expect 0 '' cmp on-1.jsonl on-2.jsonl

# ---- doc ----
expect 0 '' "$lg" doc -o doc
for text in 'id="cross_entropy"' 'optimizer adamw(' 'example: <code>' 'id="matmul"' 'id="phase"' "addEventListener('input'"; do
    expect 0 "$text" cat doc/index.html
done
while read -r name; do # every name that help lists has its page, and its place in the reference
    grep -q "id=\"$name\"" doc/index.html && [ -f "doc/man3/$name.3lg" ] || missing+=" $name"
done < <("$lg" help | grep '^  ' | tr ' ' '\n' | grep '^[A-Za-z]')
[ -z "${missing:-}" ] && good || bad "not in the reference:$missing"
while read -r command; do
    grep -q '\.SH OPTIONS' "doc/man1/lg-$command.1" && good || bad "no manual page of lg $command"
done < <("$lg" --help | sed -n 's/^  lg \([a-z]*\) .*/\1/p')
grep -q -- '\\-\\-seed' doc/man1/lg-run.1 && good || bad "lg-run.1 lacks --seed"
if command -v groff >/dev/null; then
    for page in doc/man1/*.1 doc/man3/{adamw,cross_entropy,relu,scan}.3lg; do
        [ -z "$(groff -man -Tutf8 -ww -z "$page" 2>&1)" ] && good || bad "groff complains of $page"
    done
fi
expect 0 '' "$lg" doc shown.lg -o own
expect 0 'train fit(lr = 0.1)' cat own/index.html
echo 'print 1' >nothing.lg
expect 1 'nothing is declared here' "$lg" doc nothing.lg
expect 1 'cannot be made' "$lg" doc -o t.lg/doc

# ---- completion ----
words() { "$lg" completion words -- "$@"; }
offers() { # offers TEXT WORDS...: among what is offered is a line that begins with TEXT
    local text=$1
    shift
    words "$@" | grep -q -- "^$text" && good || bad "completion of $* lacks $text"
}
offers report r
offers '--version' ''
offers ':files' run ''
offers 'all' run shown.lg ''
offers 'fit' run shown.lg ''
offers $'--width\tcolumns of the picture' run shown.lg --
offers '--seed' run shown.lg --
offers '--grey' run shown.lg all --
offers '--lr' run shown.lg --quiet --
offers 'auto' run --jit ''
offers 'cross_entropy' help cross
offers 'E0203' explain E02
offers 'zsh' completion ''
offers '--tol' diff --
offers ':files' info ''
[ -z "$(words run --seed '')" ] && good || bad "a number is not completed"
[ -z "$(words nothing --)" ] && good || bad "an unknown command is not completed"
[[ $(words run shown.lg --) == *--grey* ]] && bad "options of an entry that is not named" || good
for shell in bash zsh fish; do
    expect 0 'completion words --' "$lg" completion $shell
    if command -v $shell >/dev/null; then "$lg" completion $shell | $shell -n && good || bad "$shell does not read its script"; fi
done
expect 2 'shells are bash, zsh and fish' "$lg" completion csh
got=$(PATH=$(dirname "$lg"):$PATH bash -c 'source <(lg completion bash)
    COMP_WORDS=(lg run shown.lg --wi); COMP_CWORD=3; _lg; echo "${COMPREPLY[*]}"
    COMP_WORDS=(lg run shown.); COMP_CWORD=2; _lg; printf "%s\n" "${COMPREPLY[@]}" | sort | tr "\n" " "')
[ "$got" = $'--width\nshown.html shown.jsonl shown.lg ' ] && good || bad "bash completes: $got"

# ---- pages in a browser ----
browser=$(command -v chromium || command -v chromium-browser || true)
if [ -z "$browser" ]; then
    echo "SKIPPED: pages in a browser (there is no chromium here)"
else
    see() { timeout 60 "$browser" --headless --no-sandbox --disable-gpu --window-size=1100,1400 "$@" 2>/dev/null; }
    dom=$(see --dump-dom "file://$PWD/doc/index.html#q=cross+entropy")
    all=$(grep -o '<article' <<<"$dom" | wc -l) hidden=$(grep -o '<article[^>]*hidden' <<<"$dom" | wc -l)
    [ "$all" -gt 300 ] && [ "$hidden" -eq "$all" ] && good || bad "the search finds what is not there: $hidden of $all hidden"
    dom=$(see --dump-dom "file://$PWD/doc/index.html#q=entropy%20smooth")
    grep -q '<article id="cross_entropy">' <<<"$dom" && good || bad "the search does not find cross_entropy"
    grep -q '<article id="relu"[^>]*hidden' <<<"$dom" && good || bad "the search leaves relu in view"
    # Screenshots: pixels of the page's own colours, light and dark, read by a program of ours.
    mkdir -p light dark
    see --screenshot="$PWD/light/page.png" "file://$PWD/shown.html" >/dev/null
    see --blink-settings=preferredColorScheme=0 --screenshot="$PWD/dark/page.png" "file://$PWD/shown.html" >/dev/null
    cat >pixels.lg <<'END'
data light from images("light") { field p: u8[1400, 1100, 3] = image[:, :, :3] }
data dark from images("dark") { field p: u8[1400, 1100, 3] = image[:, :, :3] }
fn near(p: u8[H, W, C], r, g, b) -> i64 {
  let hit[i in H, j in W] = abs(float(p[i, j, 0]) - r) + abs(float(p[i, j, 1]) - g) + abs(float(p[i, j, 2]) - b) < 40
  return count[i in H, j in W where hit[i, j]]()
}
let a = rows_of(light).p[0]
let b = rows_of(dark).p[0]
print "light: {near(a, 9, 105, 218) > 300} {near(a, 207, 34, 46) > 300} {near(a, 255, 255, 255) > 500000}"
print "dark: {near(b, 88, 166, 255) > 300} {near(b, 255, 123, 114) > 300} {near(b, 13, 17, 23) > 500000}"
END
    expect 0 $'light: true true true\ndark: true true true' "$lg" run pixels.lg
fi
cd - >/dev/null || exit 2

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
