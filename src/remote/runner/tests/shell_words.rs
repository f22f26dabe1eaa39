//! Reads a shell script as far as the tests of the runner need it: which variables each function assigns and reads, and
//! which functions it calls.

use std::collections::BTreeSet;

/// What a piece of a script does, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    Set(String),
    Get(String),
    Call(String),
}

/// A function, or the statements outside of functions, whose name is then empty.
#[derive(Debug)]
pub struct Function {
    pub name: String,
    /// The comment above it, as one line.
    pub header: String,
    pub uses: Vec<Use>,
    /// Every word of its text.
    pub words: BTreeSet<String>,
}

/// A file of the runner.
#[derive(Debug)]
pub struct File {
    pub name: String,
    pub text: String,
    /// The comment at its start, as one line.
    pub header: String,
    pub functions: Vec<Function>,
}

impl File {
    /// Reads a file whose functions begin at the start of a line and end at a `}` or `)` there, or on the same line.
    pub fn read(name: &str, whole: &str) -> File {
        let text = without_here_documents(whole);
        let mut lines = text.lines().peekable();
        let (mut comment, mut outside) = (Vec::new(), String::new());
        let mut file = File { name: name.into(), text: whole.into(), header: String::new(), functions: Vec::new() };
        let top: Vec<_> = text.lines().map_while(|line| line.strip_prefix('#')).map(str::trim).collect();
        file.header = top.join(" ");
        while let Some(line) = lines.next() {
            let head = line.split_once("() ").filter(|(name, _)| !name.is_empty() && name.bytes().all(is_name_byte));
            if let Some(rest) = line.strip_prefix('#') {
                comment.push(rest.trim());
                continue;
            }
            let header = std::mem::take(&mut comment).join(" ");
            let Some((name, rest)) = head else {
                outside += line;
                outside.push('\n');
                continue;
            };
            let subshell = rest.starts_with('(');
            let mut body = rest[1..].to_owned();
            if rest.trim_end() == "{" || rest.trim_end() == "(" {
                body = lines
                    .by_ref()
                    .take_while(|line| !line.starts_with(['}', ')']))
                    .fold(body, |body, line| body + "\n" + line);
            } else {
                body.truncate(body.rfind(['}', ')']).unwrap_or(body.len()));
            }
            let mut function = Function::read(name, header, &body);
            // The variables of a function whose body is a subshell are its own.
            function.uses.retain(|it| !subshell || !matches!(it, Use::Set(_)));
            file.functions.push(function);
        }
        file.functions.push(Function::read("", String::new(), &outside));
        file
    }
}

impl Function {
    fn read(name: &str, header: String, body: &str) -> Function {
        let mut uses = Vec::new();
        Reader { text: body.as_bytes(), at: 0, uses: &mut uses }.read();
        let code = body.lines().filter(|line| !line.trim_start().starts_with('#'));
        let words = code.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
        Function { name: name.to_owned(), header, uses, words: words.map(str::to_owned).collect() }
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Turns here-documents into quoted words, and drops those in which nothing is expanded.
fn without_here_documents(text: &str) -> String {
    let (mut out, mut lines) = (String::new(), text.lines());
    while let Some(line) = lines.next() {
        let Some((before, mark)) = line.split_once("<<").filter(|_| !line.trim_start().starts_with('#')) else {
            out += line;
            out.push('\n');
            continue;
        };
        let end = mark.trim_matches('\'');
        let body = lines.by_ref().take_while(|line| *line != end).collect::<Vec<_>>().join("\n");
        out += before;
        if end == mark {
            out += &format!("\n: \"{}\"", body.replace('"', ""));
        }
        out.push('\n');
    }
    out
}

/// The words before a command that leave the next word a command.
const KEYWORDS: [&str; 9] = ["if", "then", "else", "elif", "do", "while", "until", "!", "{"];

struct Reader<'text, 'uses> {
    text: &'text [u8],
    at: usize,
    uses: &'uses mut Vec<Use>,
}

impl<'text> Reader<'text, '_> {
    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(b'\n')
    }

    fn skip_line(&mut self) {
        self.at += self.text[self.at..].iter().position(|&c| c == b'\n').unwrap_or(self.text.len() - self.at);
    }

    /// Reads commands to the end of the text.
    fn read(&mut self) {
        let (mut command, mut assigned): (Option<String>, Vec<String>) = (None, Vec::new());
        while self.at < self.text.len() {
            match self.peek() {
                b' ' | b'\t' => self.at += 1,
                b'\\' if self.text.get(self.at + 1) == Some(&b'\n') => self.at += 2,
                b'#' => self.skip_line(),
                b'<' | b'>' => {
                    while matches!(self.peek(), b'<' | b'>' | b'&' | b' ') {
                        self.at += 1;
                    }
                    self.word();
                }
                b'\n' | b';' | b'&' | b'|' | b'(' | b')' => {
                    self.at += 1;
                    self.uses.extend(assigned.drain(..).map(Use::Set));
                    command = None;
                }
                _ => {
                    let from = self.at;
                    self.word();
                    let word = String::from_utf8_lossy(&self.text[from..self.at.min(self.text.len())]).into_owned();
                    match &command {
                        None if KEYWORDS.contains(&word.as_str()) => {}
                        None => match assignment(&word) {
                            Some(name) => assigned.push(name.to_owned()),
                            None => {
                                // Assignments before a command are for that command only.
                                assigned.clear();
                                self.uses.push(Use::Call(word.clone()));
                                command = Some(word);
                            }
                        },
                        Some(name) => {
                            self.argument(&name.clone(), &word);
                            // What follows are the values.
                            if name == "for" {
                                command = Some(String::new());
                            }
                        }
                    }
                }
            }
        }
        self.uses.extend(assigned.drain(..).map(Use::Set));
    }

    /// Notes the variables that the argument of a builtin assigns.
    fn argument(&mut self, command: &str, word: &str) {
        let set = |name: &str| Use::Set(name.to_owned());
        match command {
            "for" => self.uses.push(set(word)),
            "read" if word.bytes().all(is_name_byte) => self.uses.push(set(word)),
            "export" => self.uses.extend(assignment(word).map(set)),
            "eval" => self.uses.extend(word.trim_matches('"').split(' ').filter_map(assignment).map(set)),
            "trap" if word.starts_with('\'') => {
                Reader { text: word.trim_matches('\'').as_bytes(), at: 0, uses: self.uses }.read();
            }
            _ => {}
        }
    }

    /// Moves to the end of a word and notes what is expanded in it.
    fn word(&mut self) {
        while self.at < self.text.len() {
            match self.peek() {
                b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>' => break,
                _ => self.piece(),
            }
        }
    }

    /// Moves over a quoted string, an expansion or a byte.
    fn piece(&mut self) {
        match self.peek() {
            b'\'' => self.at += 2 + self.text[self.at + 1..].iter().position(|&c| c == b'\'').unwrap_or(0),
            b'"' => {
                self.at += 1;
                while self.at < self.text.len() && self.peek() != b'"' {
                    if self.peek() == b'\'' { self.at += 1 } else { self.piece() }
                }
                self.at += 1;
            }
            b'\\' => self.at += 2,
            b'$' => self.expansion(),
            _ => self.at += 1,
        }
    }

    fn expansion(&mut self) {
        let rest = &self.text[self.at..];
        if rest.starts_with(b"$((") {
            let inner = self.bracket(3);
            let inner = inner.strip_suffix(b")").unwrap_or(inner);
            let outer: Vec<u8> = split_substitutions(inner, self.uses);
            let names =
                outer.split(|&byte| !is_name_byte(byte)).filter(|it| it.first().is_some_and(u8::is_ascii_alphabetic));
            self.uses.extend(names.map(|name| Use::Get(String::from_utf8_lossy(name).into_owned())));
            self.at += 1;
        } else if rest.starts_with(b"$(") {
            let inner = self.bracket(2);
            read_in_subshell(inner, self.uses);
        } else if rest.starts_with(b"${") {
            let name =
                rest[2..].iter().skip_while(|&&c| c == b'#').take_while(|&&c| is_name_byte(c)).copied().collect();
            self.get(name);
            self.at += 2;
            while self.at < self.text.len() && self.peek() != b'}' {
                self.piece();
            }
            self.at += 1;
        } else {
            let name: Vec<u8> = rest[1..].iter().take_while(|&&c| is_name_byte(c)).copied().collect();
            self.at += 1 + name.len().max(1);
            self.get(name);
        }
    }

    fn get(&mut self, name: Vec<u8>) {
        if name.first().is_some_and(|c| !c.is_ascii_digit()) {
            self.uses.push(Use::Get(String::from_utf8_lossy(&name).into_owned()));
        }
    }

    /// Returns the text in brackets that begins `skip` bytes from here, and moves behind its bracket.
    fn bracket(&mut self, skip: usize) -> &'text [u8] {
        self.at += skip;
        let (from, mut depth) = (self.at, 1);
        let mut ignored = Vec::new();
        while self.at < self.text.len() {
            match self.peek() {
                b'#' if self.text[self.at - 1].is_ascii_whitespace() => self.skip_line(),
                b'(' => depth += 1,
                b')' => depth -= 1,
                b'\'' | b'"' | b'\\' => {
                    let mut inner = Reader { text: self.text, at: self.at, uses: &mut ignored };
                    inner.piece();
                    self.at = inner.at;
                    continue;
                }
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                break;
            }
        }
        &self.text[from..self.at - 1]
    }
}

/// Reads a command substitution. What it assigns is lost at its end, and so is what its functions assign.
fn read_in_subshell(text: &[u8], uses: &mut Vec<Use>) {
    let mut inner = Vec::new();
    Reader { text, at: 0, uses: &mut inner }.read();
    uses.extend(inner.into_iter().filter(|it| matches!(it, Use::Get(_))));
}

/// Reads the command substitutions of an arithmetic expression, and returns the rest of it.
fn split_substitutions(text: &[u8], uses: &mut Vec<Use>) -> Vec<u8> {
    let mut outer = Vec::new();
    let mut reader = Reader { text, at: 0, uses };
    while reader.at < text.len() {
        if text[reader.at..].starts_with(b"$(") {
            reader.expansion();
        } else {
            outer.push(text[reader.at]);
            reader.at += 1;
        }
    }
    outer
}

/// The name in a word `name=value`.
fn assignment(word: &str) -> Option<&str> {
    let (name, _) = word.split_once('=')?;
    (name.bytes().all(is_name_byte) && !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()))
        .then_some(name)
}
