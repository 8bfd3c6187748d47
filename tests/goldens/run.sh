#!/usr/bin/env bash
# Every golden file of this folder against the library; see goldens.c.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(dirname "${LG:-$here/../../build/lg}")
"$build/goldens" "$here"/*.json
