//! Lines and words as keepalived's parser sees them.

/// The line without its comment, without blanks at both ends. `#` and `!` begin a comment unless they stand in double
/// quotes or behind a backslash.
///
/// # Errors
///
/// A double quote that is never closed.
pub(super) fn uncomment(line: &str) -> Result<&str, &'static str> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '#' | '!' if !quoted => return Ok(line.get(..at).unwrap_or(line).trim()),
            _ => {}
        }
    }
    if quoted { Err("a double quote is never closed") } else { Ok(line.trim()) }
}

/// A piece of a line.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Piece<'a> {
    /// Words.
    Words(&'a str),
    /// `{`
    Open,
    /// `}`
    Close,
}

/// Takes a line apart at its braces; those in double quotes and those of `${NAME}` stay in their word.
pub(super) fn pieces(line: &str) -> Vec<Piece<'_>> {
    let mut all = Vec::new();
    let (mut quoted, mut escaped, mut variable, mut start, mut before) = (false, false, false, 0, ' ');
    let words = |from: usize, to: usize| {
        let text = line.get(from..to).unwrap_or_default().trim();
        (!text.is_empty()).then_some(Piece::Words(text))
    };
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '{' if !quoted && before == '$' => variable = true,
            '}' if variable => variable = false,
            '{' | '}' if !quoted => {
                all.extend(words(start, at));
                all.push(if c == '{' { Piece::Open } else { Piece::Close });
                start = at + 1;
            }
            _ => {}
        }
        before = c;
    }
    all.extend(words(start, line.len()));
    all
}

/// Words of an ordinary statement: only double quotes keep blanks, and nothing is an escape.
pub(super) fn plain(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            c if c.is_whitespace() && !quoted => all.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    all.extend(word);
    all
}

/// Words of a statement that names a script: both kinds of quotes, and escapes as in C and shell.
pub(super) fn script(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let next = unescape(&mut chars);
                word.get_or_insert_default().extend(next);
            }
            c if quote == Some(c) => quote = None,
            '"' | '\'' if quote.is_none() => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            c if c.is_whitespace() && quote.is_none() => all.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    all.extend(word);
    all
}

/// What follows a backslash. Zero bytes cannot be in a command and are left out.
fn unescape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    let c = chars.next()?;
    let mut number = |base: u32, most: usize, first: Option<u32>| {
        let mut value = first.unwrap_or(0);
        for _ in 0..most {
            let Some(digit) = chars.peek().and_then(|c| c.to_digit(base)) else { break };
            value = value.saturating_mul(base).saturating_add(digit);
            chars.next();
        }
        char::from_u32(value & 0xff).filter(|c| *c != '\0')
    };
    match c {
        'a' => Some('\x07'),
        'b' => Some('\x08'),
        'E' => Some('\x1b'),
        'f' => Some('\x0c'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\x0b'),
        '0'..='7' => number(8, 2, c.to_digit(8)),
        'x' => number(16, 8, None),
        'c' => chars.next().and_then(|c| char::from_u32(u32::from(c) & 0x1f)).filter(|c| *c != '\0'),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_end_a_line_but_not_in_quotes() {
        for (line, want) in [
            ("  priority 100 # as agreed", "priority 100"),
            ("a ! b", "a"),
            ("auth_pass \"a#b!c\" # x", "auth_pass \"a#b!c\""),
            ("path a\\#b", "path a\\#b"),
            ("it's # fine", "it's"),
            ("# don't \"", ""),
        ] {
            assert_eq!(uncomment(line), Ok(want), "{line}");
        }
        assert!(uncomment("script \"/bin/x").is_err());
    }

    #[test]
    fn braces_are_pieces_where_they_are_no_part_of_a_word() {
        use Piece::{Close, Open, Words};
        assert_eq!(pieces("vrrp_instance V{ a b }"), [Words("vrrp_instance V"), Open, Words("a b"), Close]);
        assert_eq!(pieces("x ${V}.1 \"{ }\""), [Words("x ${V}.1 \"{ }\"")]);
        assert_eq!(pieces("}"), [Close]);
        assert!(pieces("").is_empty());
    }

    /// As Debian's keepalived 2.2.7 shows them with `--dump-conf`.
    #[test]
    fn words_are_keepalived_s() {
        assert_eq!(plain("auth_pass \"a\\\\b#c d\""), ["auth_pass", "a\\\\b#c d"]);
        assert_eq!(plain("label 'eth0:2'"), ["label", "'eth0:2'"]);
        assert_eq!(plain("ab\" c \"d \"\""), ["ab c d", ""]);
        let outer = script(r#"script "/bin/echo 'a b' \"c d\" e\\ f  \tg""#);
        assert_eq!(outer, ["script", "/bin/echo 'a b' \"c d\" e\\ f  \tg"]);
        assert_eq!(script(&outer[1]), ["/bin/echo", "a b", "c d", "e f", "g"]);
        assert_eq!(script(r#"notify '/bin/true "x y"' root"#), ["notify", "/bin/true \"x y\"", "root"]);
        assert_eq!(script(r"\x41\101\cA\0"), ["AA\x01"]);
    }
}
