#!/bin/sh
while read -r word rest; do
    echo "$word"
done | sort | uniq -c
