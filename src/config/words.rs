//! A command line split into words as a shell does, without anything else that a shell does.

/// Splits at white space. Quotes of both kinds keep words together; a backslash takes the next character
/// as it is (within double quotes only before `"` and `\`; never within single quotes).
pub(super) fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' | '"' => quoted(&mut chars, c, word.get_or_insert_default())?,
            '\\' => {
                let next = chars.next().ok_or("a backslash at the end")?;
                word.get_or_insert_default().push(next);
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(chars: &mut std::str::Chars<'_>, quote: char, word: &mut String) -> Result<(), &'static str> {
    const OPEN: &str = "a quote that is never closed";
    loop {
        match chars.next().ok_or(OPEN)? {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => match chars.next().ok_or(OPEN)? {
                c @ ('"' | '\\') => word.push(c),
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_does() {
        let split = |s| split(s).unwrap();
        assert_eq!(split("/bin/x  a\tb "), ["/bin/x", "a", "b"]);
        assert_eq!(split(r#"/bin/x 'a b' "c d" e" "f"#), ["/bin/x", "a b", "c d", "e f"]);
        assert_eq!(split(r#"x "" '' a\ b "q\"\n" '\'"#), ["x", "", "", "a b", "q\"\\n", "\\"]);
        assert_eq!(split("$HOME *.c ; rm"), ["$HOME", "*.c", ";", "rm"]);
        assert!(split("   ").is_empty());
    }

    #[test]
    fn an_open_quote_is_an_error_and_no_word() {
        for text in ["a 'b", "a \"b", "a \"b\\", "a\\"] {
            assert!(super::split(text).is_err(), "{text}");
        }
    }
}
