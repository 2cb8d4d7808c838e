#!/usr/bin/env bash
# The first hour of a newcomer with videos and pictures of their own, command by command:
#
#     tests/newcomers_walk.sh MEDIA WORK [OPTION...]
#
# MEDIA holds `driving/` (videos) and `reference/` (pictures); WORK is an empty folder. OPTIONs are added to `prepare` and
# `animate`, such as `--preset puppets` where the networks for people are not to be fetched. The script fails at the first
# command whose exit status is not the expected one; `tests/test_newcomers_walk.py` checks what the commands leave.
set -euo pipefail
media=$(realpath "$1")
mkdir -p "$2/here"
cd "$2/here"
shift 2
options=("$@")

step() { printf '\n$ zoetrope %s\n' "$*"; zoetrope "$@"; }
# A command that is expected to fail with this exit status.
fails() {
    local expected=$1 status=0
    shift
    step "$@" || status=$?
    [ "$status" = "$expected" ] || { echo "expected exit status $expected, got $status"; exit 1; }
}

# A folder as it comes off a phone and a download page.
mkdir -p "../my videos/holiday"
cp "$media/driving/wan_animate.mp4" "../my videos/"
cp "$media/driving/animatex_dance1.mp4" "../my videos/holiday/Tänzerin (1).MP4"
cp "$media/driving/xdyna_1.mp4" "../my videos/zumba.mp4"
head -c 100000 "$media"/driving/xdyna_1.mp4 >"../my videos/half a download.mp4"
: >"../my videos/empty.mov"
echo "notes" >"../my videos/notes.txt"
picture=$(find "$media/reference" -name '*.png' | sort | head -1)

step --version
step doctor
[ ${#options[@]} -gt 0 ] || step weights fetch people
fails 2 prepair
fails 2 animate --reference "$picture" --driving ../my\ videos/wan_animate.mp4 --out made --model animate-anyon
step ingest "../my videos" --out ../corpus --dry-run
fails 1 ingest "../my videos" --out ../corpus --max-failed 0
step ingest "../my videos" --out ../corpus --max-failed 2
prepare=(prepare ../corpus/clips --out ../corpus/prepared --limit 3 "${options[@]}") # a clip of each video
step "${prepare[@]}" --dry-run
step "${prepare[@]}"
step "${prepare[@]}"
step status ../corpus/prepared
step report ../corpus/prepared
step animate --reference "$picture" --driving ../my\ videos/wan_animate.mp4 --out ../animations "${options[@]}"
step compact ../animations --prune
