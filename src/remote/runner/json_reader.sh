# Awk functions that read one JSON object of a log in pieces of any size. `entry[1..entries]` are its values as
# `path=value`; `whole` is true when the object is closed, `after` when something follows it. Keys are joined by dots;
# `[]` stands for the elements of an array. Sets $json_reader to their text.

# The text is an awk program, so the shell expands nothing in it.
# shellcheck disable=SC2016
json_reader='
function scan(s,   c, t) {
  s = carry s; carry = ""
  while (s != "") {
    if (in_string) {
      match(s, /^([^"\\]|\\.)*/)
      if (length(str) < 4096) str = str substr(s, 1, RLENGTH)
      s = substr(s, RLENGTH + 1)
      if (s == "") return
      if (substr(s, 1, 1) != "\"") { carry = s; return }
      in_string = 0; s = substr(s, 2)
      if (is_object[depth] && wants_key) { key[depth] = str; gsub(/\./, "_", key[depth]) } else if (depth) note(value_path(), unescaped(str))
      str = ""
      continue
    }
    if (!match(s, /["{}:,]|\[|\]/)) { atom = atom substr(s, 1, 64); s = "" } else {
      atom = substr(atom substr(s, 1, RSTART - 1), 1, 64); c = substr(s, RSTART, 1); s = substr(s, RSTART + 1)
      if (whole) { after = 1; return }
      if (c == "\"") in_string = 1
      else if (c == ":") wants_key = 0
      else if (c == "," || c == "}" || c == "]") { gsub(/[ \t\r]/, "", atom); if (atom != "" && depth) note(value_path(), atom) }
      if (c == "{" || c == "[") {
        t = depth ? value_path() : ""
        if (c == "{" && depth) note(t, "{")
        depth++; is_object[depth] = c == "{"; prefix[depth] = c == "{" ? t : t "[]"; wants_key = c == "{"
      } else if (c == "}" || c == "]") { depth--; wants_key = 0; if (depth <= 0) whole = 1 }
      else if (c == ",") wants_key = is_object[depth]
      atom = ""
    }
    if (whole && s ~ /[^ \t\r]/) { after = 1; return }
  }
}
function value_path() { return is_object[depth] ? (prefix[depth] == "" ? key[depth] : prefix[depth] "." key[depth]) : prefix[depth] }
function note(path, value) {
  if (depth > 6 || (depth > 1 && ++nested > 500) || entries > 800 || value == "null") return
  entry[++entries] = path "=" substr(value, 1, 1000)
}
function unescaped(s) {
  if (index(s, "\\") == 0) return s
  gsub(/\\\\/, "\001", s); gsub(/\\[nr]/, "\n", s); gsub(/\\"/, "\"", s); gsub(/\\\//, "/", s)
  gsub(/\\u[0-9a-fA-F][0-9a-fA-F][0-9a-fA-F][0-9a-fA-F]/, "?", s); gsub(/\\[tbf]/, " ", s); gsub(/\001/, "\\", s)
  return s
}
'
