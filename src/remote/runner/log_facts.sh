# Extracts facts from the log, each part of which is read once. The laptop sends the rules (`stream`). Until the agent
# ended, only whole lines count.

# Reads what was added to the log up to $logged, which log_size sets; with `end` as $1, a last line without its end, too.
# Sets $seen to the facts and $seen_to to the offset read so far.
read_log() {
  [ "$seen_to" -le "$logged" ] || seen_to=0
  [ -s "$spec/stream" ] && { [ "$logged" -gt "$seen_to" ] || [ "${1-}" = end ]; } || return 0
  read_lines=$(tail -c "+$((seen_to + 1))" "$at/log" | first_bytes "$((logged - seen_to))" | log_facts "${1-}")
  case $read_lines in *"${nl}read "*) ;; *) return 0 ;; esac
  seen_to=$((seen_to + ${read_lines##*"${nl}read "}))
  seen=${read_lines%"${nl}read "*}
}

# Sets $value to a fact of the log. Fails without it.
seen_fact() {
  value=$nl$seen
  case $value in *"$nl$1 "*) ;; *) value= && return 1 ;; esac
  value=${value#*"$nl$1 "}
  value=${value%%"$nl"*}
}

# Turns log bytes on stdin into lines `<fact> <word>`. Long lines are cut into pieces and strings keep their first 4
# KiB, so memory is bounded.
log_facts() {
  tr '\000\036\n' '  \036' | LC_ALL=C fold -b -w 4096 | LC_ALL=C seen="$seen" stream="$spec/stream" ending="$1" awk "$json_reader"'
  function add_condition(kind, i, n) {
    rule[++rules] = kind; first[rules] = conditions + 1
    for (; i <= n; i++) want[++conditions] = word[i]
    last[rules] = conditions
  }
  BEGIN {
    n = split(ENVIRON["seen"], old, "\n")
    for (i = 1; i <= n; i++) {
      name = old[i]; sub(/ .*/, "", name); value = substr(old[i], length(name) + 2)
      if (name == "stray") stray[++strays] = value; else if (name != "") fact[name] = value
    }
    while ((getline line < ENVIRON["stream"]) > 0) {
      n = split(line, word, "\t")
      if (word[1] == "fast") { fast[++fasts] = word[2]; except[fasts] = 0; for (i = 3; i <= n; i++) needle[fasts, ++except[fasts]] = word[i] }
      else if (word[1] == "session") session_path = word[2]
      else if (word[1] == "text") text_path[++texts] = word[2]
      else if (word[1] == "until") until_path = word[2]
      else if (word[1] == "field") { add_condition("field", 3, n); row[rules] = word[2] }
      else add_condition(word[1], 2, n)
    }
    new_line()
  }
  function new_line() {
    mode = head = buffer = tail_end = ""; long = 0; bytes = 0
    split("", entry); entries = nested = depth = in_string = whole = after = 0; str = atom = carry = ""
  }
  {
    while ((cut = index($0, "\036")) > 0) { feed(substr($0, 1, cut - 1)); total += bytes + 1; end_line(); $0 = substr($0, cut + 1) }
    feed($0)
  }
  function feed(s) {
    bytes += length(s)
    if (mode == "") { head = head s; if (length(head) < 64) return; s = head; begin_line(s) }
    take(s)
  }
  function begin_line(s,   i) {
    mode = "stray"
    for (i = 1; i <= fasts; i++) if (substr(s, 1, length(fast[i])) == fast[i]) { mode = "fast"; which = i; return }
    if (substr(s, 1, 1) == "{") mode = "json"
  }
  function take(s) {
    if (s == "") return
    tail_end = substr(s, length(s))
    if (mode == "json") scan(s)
    else if (length(buffer) < 65536) buffer = buffer s
    else long = 1
  }
  function end_line(   i, at) {
    if (mode == "") { begin_line(head); take(head) }
    if (mode == "stray") {
      # Text without a line break may come before an event.
      at = index(buffer, "{\"")
      if (at > 1 && !long && index(substr(buffer, 1, at - 1), "\"") == 0) {
        scan(substr(buffer, at))
        if (whole && !after) { event(); buffer = substr(buffer, 1, at - 1) }
        else if (!whole) buffer = substr(buffer, 1, at - 1)
      }
      sub(/\r$/, "", buffer)
      if (buffer ~ /[^ \t\r]/) {
        if (fact["torn"] == "") { stray[++strays] = unquoted(substr(buffer, 1, 1000)) }
        if (tail_end == "}") fact["torn"] = ""
      }
      if (strays > 80) { for (i = 1; i <= 40; i++) stray[i] = stray[strays - 40 + i]; strays = 40 }
    } else if (mode == "fast") {
      sub(/\r$/, "", buffer)
      for (i = 1; i <= except[which]; i++) if (!long && index(buffer, needle[which, i])) { scan(buffer); break }
      if (i > except[which]) { progress(); fact["torn"] = (long ? tail_end : substr(buffer, length(buffer))) == "}" ? "" : "yes" }
      else if (whole && !after) event()
      else { progress(); fact["torn"] = "yes" }
    } else if (whole && !after) event()
    else fact["torn"] = tail_end == "}" && fact["torn"] != "" ? "" : "yes"
    new_line()
  }
  # Returns the words of an error without the text that they quote.
  function unquoted(s) {
    sub(/\n.*/, "", s); gsub(/"[^"]*"?/, " ", s); gsub(/`[^`]*`?/, " ", s); gsub(/\342\200\234[^\342]*(\342\200\235)?/, " ", s)
    gsub(/(^|[^A-Za-z0-9_])\047[^\047]*\047/, " ", s); gsub(/[\001-\037]/, " ", s)
    return s
  }
  function holds(condition,   i, no, at, n, m, j, want_path, want_value, path, a, b) {
    no = substr(condition, 1, 1) == "!"; if (no) condition = substr(condition, 2)
    at = index(condition, "="); want_path = substr(condition, 1, at - 1); want_value = substr(condition, at + 1)
    n = split(want_path, a, ".")
    for (i = 1; i <= entries; i++) {
      at = index(entry[i], "="); path = substr(entry[i], 1, at - 1)
      if (path != want_path) {
        if (index(want_path, "*") == 0 || split(path, b, ".") != n) continue
        for (j = 1; j <= n; j++) {
          m = length(a[j]) - 1
          if (!(a[j] == b[j] || (substr(a[j], 1, 1) == "*" && length(b[j]) >= m && substr(b[j], length(b[j]) - m + 1) == substr(a[j], 2)))) break
        }
        if (j <= n) continue
      }
      m = length(want_value)
      if (substr(entry[i], at + 1) == want_value || (substr(want_value, m) == "*" && substr(entry[i], at + 1, m - 1) == substr(want_value, 1, m - 1))) return !no
    }
    return no
  }
  function is(kind,   i, j) {
    for (i = 1; i <= rules; i++) if (rule[i] == kind) { for (j = first[i]; j <= last[i]; j++) if (!holds(want[j])) break; if (j > last[i]) return 1 }
    return 0
  }
  function at_path(path,   i) {
    for (i = 1; i <= entries; i++) if (index(entry[i], path "=") == 1 && length(entry[i]) > length(path) + 1) return substr(entry[i], length(path) + 2)
    return ""
  }
  function progress() { fact["started"] = "yes"; fact["end"] = fact["rows"] = fact["text"] = fact["until"] = ""; strays = 0 }
  function note_error(keep,   i, j, rows, text) {
    if (at_path(until_path) != "" && until_path != "") fact["until"] = at_path(until_path)
    if (fact["until"] != "") entry[++entries] = "@until=" fact["until"]
    for (i = 1; i <= rules; i++) if (rule[i] == "field") { for (j = first[i]; j <= last[i]; j++) if (!holds(want[j])) break; if (j > last[i]) rows = rows " " row[i] }
    if (rows != "" || !keep) fact["rows"] = rows == "" ? "" : rows " "
    for (i = 1; i <= texts && text == ""; i++) text = at_path(text_path[i])
    if (text != "" || !keep) fact["text"] = unquoted(text)
  }
  function event(   id) {
    fact["torn"] = ""
    if (at_path("type") == "") return
    fact["started"] = "yes"
    id = at_path(session_path)
    if (!is("nested")) {
      if (is("open") || is("end")) {
        if (id != "" && fact["first"] == "") fact["first"] = id
        if (id != "" && id != fact["first"]) { fact["foreign"] = "yes"; return }
      }
      if (is("refused")) fact["refused"] = "yes"
      if (is("end")) {
        fact["ends"]++
        if (is("good")) { fact["end"] = "good"; fact["rows"] = fact["text"] = "" } else { fact["end"] = "bad"; note_error(1) }
        return
      }
      if (is("error")) { note_error(0); return }
    }
    if (is("progress")) progress()
  }
  END {
    if (ENVIRON["ending"] == "end" && (head != "" || mode != "")) { total += bytes; end_line() }
    print "facts 1"
    for (name in fact) if (fact[name] != "" && name != "facts") print name " " fact[name]
    for (i = strays > 40 ? strays - 39 : 1; i <= strays; i++) print "stray " stray[i]
    print "read " total + 0
  }'
}
