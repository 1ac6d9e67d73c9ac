#!/bin/sh
# The public sqllogictest files beside the project: all of select1-3 and evidence, every 50th query of
# the others. suite.sh RUN_SQL SUITES MODE; exit 77 (skipped) where the files are not there.
run_sql=$1 suites=$2/sqllogictest mode=$3
here=$(dirname "$0")
if [ ! -d "$suites" ]; then
    echo "skipped: $suites is not there"
    exit 77
fi
"$run_sql" --mode "$mode" --misses "$here/misses.txt" "$suites"/select[123].test.zst \
    "$suites"/evidence/*.test || exit 1
# In the modes that flush, only the smaller files: thousands of inserts, each flushed, prove no more.
others=$(find "$suites/index" "$suites/random" "$suites"/select[45].test.zst -name '*.zst' | sort)
[ "$mode" = delta ] || others=$(echo "$others" | grep -v -e delete/ -e view/ -e 1000)
exec "$run_sql" --mode "$mode" --every 50 --misses "$here/misses.txt" $others
