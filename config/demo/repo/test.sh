#!/bin/sh
# Tests of total.sh: `sh test.sh`. Exits 1 when one fails.
cd "$(dirname "$0")" || exit 1
# shellcheck source=/dev/null
. ./total.sh

failed=0
check() { # check NAME EXPECTED GOT
  if [ "$2" = "$3" ]; then
    echo "ok    $1"
  else
    echo "FAIL  $1: expected $2, got $3"
    failed=1
  fi
}

cart=$(mktemp) || exit 1
trap 'rm -f "$cart"' EXIT

printf '2 350 tea\n1 1299 teapot\n' >"$cart"
check "a cart of two lines" 1999 "$(cart_sum "$cart")"

printf '2 350 tea\n1 1299 teapot' >"$cart"
check "a last line without a line break" 1999 "$(cart_sum "$cart")"

check "tax that comes out even" 119 "$(with_tax 100 19)"
check "tax rounded up to the cent" 2379 "$(with_tax 1999 19)"
check "an amount below one" 0.05 "$(money 5)"
check "an amount" 23.79 "$(money 2379)"

exit "$failed"
