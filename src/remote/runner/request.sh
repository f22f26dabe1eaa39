# Reads a request: header lines into variables, the blob into one file. An incomplete request changes nothing.

# Reads the header lines and checks each value. Refuses a request that was cut. Sets one variable for each key: $name,
# $attempt, $grant, $blob, $reason, $grace, $next, $epoch, $wait, $max, $key, $format, $pack, $length, $have, $parts,
# $refs_length (`part refs`), $secrets, $wants, $acks, $caches, $discard, $dry, $known (`instance`), $used, $started,
# $strays (`stray`), $thin, $artifacts, and $asks to the lines of other keys. Sets $value.
read_request() {
  name='' attempt='' grant='' blob='' reason=stop grace=5 next='' epoch='' wait=0 max=4194304 key='' format=''
  pack='' length='' have=0 parts='' secrets='' wants='' acks='' caches='' discard='' dry='' known='' used='' started='' strays='' asks='' whole='' thin='' artifacts='' refs_length=''
  while IFS= read -r line; do
    if [ -z "$line" ]; then
      whole=1
      break
    fi
    value=${line#* }
    case $line in
      'name '*) is_name "$value" && name=$value ;;
      'key '*) is_hex "$value" && key=$value ;;
      'format '*) format=$value ;;
      'pack '*) is_hex "$value" && pack=$value ;;
      'have '*) is_number "$value" && have=$value ;;
      'length '*) is_number "$value" && length=$value ;;
      'attempt '*) is_number "$value" && attempt=$value ;;
      'grant '*) is_number "$value" && grant=$value ;;
      'epoch '*) is_number "$value" && epoch=$value ;;
      'wait '*) is_number "$value" && wait=$value ;;
      'max '*) is_number "$value" && max=$value ;;
      'grace '*) is_number "$value" && grace=$value ;;
      'thin yes') thin=1 ;;
      'artifacts yes') artifacts=1 ;;
      'blob '*) is_number "$value" && blob=$value ;;
      'next '*) is_next "$value" && next=$value ;;
      'reason '*) is_name "$value" && reason=$value ;;
      'part refs '*) is_number "${value#* }" && refs_length=${value#* } ;;
      'part pack '*) ;;
      'part '*) parts=$parts$value$nl ;;
      'want '*) wants=$wants$value$nl ;;
      'ack '*) acks=$acks$value$nl ;;
      'cache '*) caches=$caches$value$nl ;;
      'discard yes') discard=yes ;;
      'dry yes') dry=yes ;;
      'started yes') started=yes ;;
      'stray '*) is_number "$value" && strays="$strays $value" ;;
      'used yes') used=1 ;;
      'instance '*) is_hex "${value%% *}" && is_number "${value#* }" && known=$value ;;
      'secret '*) is_variable "${value%% *}" && secrets=$secrets$value$nl ;;
      *) asks=$asks$line$nl ;;
    esac || refuse request "bad value of ${line%% *}"
  done
  [ -n "$whole" ] || refuse truncated "the request ended in its header"
  check_root
}

# Fails unless printf is a builtin: secrets are written with it, and they must not get into argv.
need_builtin_printf() {
  case $(command -v printf) in printf) ;; *) [ -z "$secrets" ] || refuse shell "printf is not built into this shell" ;; esac
}

# Refuses unless the request names a handoff and an attempt. Sets $job, $n and $at.
need_attempt() {
  [ -n "$name" ] || refuse request "name is missing"
  [ "${attempt:-0}" -gt 0 ] || refuse request "attempts are numbered from 1"
  at_attempt "$name" "$attempt"
}

# Copies the blob from stdin to a file, complete or not at all. Sets $request to the file.
take_blob() {
  request=$root/.request.$$
  # A killed request of the same process id leaves files.
  rm -rf "$request".*
  trap 'rm -rf "$request" "$request".*' EXIT
  trap 'exit 1' HUP INT PIPE TERM
  first_bytes "${blob:-0}" >"$request" || refuse_write "the request could not be stored"
  size=$(wc -c <"$request")
  [ "$((size))" -eq "${blob:-0}" ] || refuse truncated "$((size)) of $blob bytes of the request arrived"
}

# Copies the refs and the pack of a push, which are the last parts of the blob, to $request.refs and $request.pack.
cut_push() {
  [ "${blob:-0}" -ge "$((${refs_length:-0} + ${length:-0}))" ] || refuse request "bad size of a part"
  {
    tail -c "${length:-0}" "$request" >"$request.pack" &&
      tail -c "$((${refs_length:-0} + ${length:-0}))" "$request" | first_bytes "${refs_length:-0}" >"$request.refs"
  } || refuse_write "the request could not be stored"
}

# Cuts the blob into the files of a directory: `part spec/<file> <bytes>` lines, in order.
cut_parts() {
  offset=1
  while read -r part bytes; do
    [ -n "$part" ] || continue
    file=${part#spec/}
    case $file in
      '' | .* | */.* | */*/*/* | *[!a-z0-9_./-]*) refuse request "bad name of a part" ;;
      companion/*/*) mkdir -p "$1/${file%/*}" || refuse_write "a part could not be stored" ;;
      */*) refuse request "bad name of a part" ;;
    esac
    is_number "$bytes" || refuse request "bad size of a part"
    tail -c "+$offset" "$request" | first_bytes "$bytes" >"$1/$file"
    size=$(wc -c <"$1/$file")
    [ "$((size))" -eq "$bytes" ] || refuse_write "a part could not be stored"
    offset=$((offset + bytes))
  done <<END
$parts
END
}
