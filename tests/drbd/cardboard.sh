#!/bin/sh
# Stands for drbdadm, drbdsetup, modprobe, lvs, ...: does what the test has written for these words.
d=$(dirname "$0")
name=$(basename "$0")
key=$(printf '%s' "$name $*" | tr -c 'A-Za-z0-9.-' '_')
echo "$name $*" >>"$d/calls"
if [ -f "$d/answers/$key" ]; then . "$d/answers/$key"
elif [ -f "$d/answers/$name.any" ]; then . "$d/answers/$name.any"
else
    echo "no answer is written for $key" >&2
    exit 99
fi
