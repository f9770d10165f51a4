//! Finding a value in the text of a document that is already known to be valid JSON.
//!
//! What enters: the payload and where a key or a value begins. What leaves: where the value begins and ends. The tape
//! keeps neither the digits of a number nor the spelling of a `json` value; this module gives them back. Total: on a
//! text that is not valid JSON it stops at the end of the text, never beyond.

/// The first place at or after `at` that is not white space.
pub(super) fn skip_space(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The place after the closing quote; `at` is the first byte inside the string.
pub(super) fn skip_string(text: &[u8], mut at: usize) -> usize {
    loop {
        match text.get(at) {
            None => return text.len(),
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
}

/// Where the value of a key begins; `at` is the first byte inside the key.
pub(super) fn after_key(text: &[u8], at: usize) -> usize {
    let colon = skip_space(text, skip_string(text, at));
    skip_space(text, colon + 1)
}

/// The place after the value that begins at `at`.
pub(super) fn value_end(text: &[u8], mut at: usize) -> usize {
    match text.get(at) {
        Some(b'"') => skip_string(text, at + 1),
        Some(b'{' | b'[') => {
            let mut depth = 0_usize;
            loop {
                match text.get(at) {
                    None => return text.len(),
                    Some(b'"') => {
                        at = skip_string(text, at + 1);
                        continue;
                    }
                    Some(b'{' | b'[') => depth += 1,
                    Some(b'}' | b']') => depth = depth.saturating_sub(1),
                    Some(_) => {}
                }
                at += 1;
                if depth == 0 {
                    return at;
                }
            }
        }
        _ => {
            while !matches!(text.get(at), None | Some(b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r')) {
                at += 1;
            }
            at
        }
    }
}

/// Where the next element begins, given the place after the previous value.
pub(super) fn next_value(text: &[u8], at: usize) -> usize {
    let comma = skip_space(text, at);
    skip_space(text, comma + 1)
}

/// The bytes of the value that begins at `at`.
pub(super) fn value(text: &[u8], at: usize) -> &[u8] {
    text.get(at..value_end(text, at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_values_after_keys() {
        let text = br#"{ "a\"b" : [1, {"x":"]}"}, 2.50 ] ,"c":-1e5}"#;
        let array = after_key(text, 3);
        assert_eq!(value(text, array), br#"[1, {"x":"]}"}, 2.50 ]"#);
        let first = skip_space(text, array + 1);
        assert_eq!(value(text, first), b"1");
        let second = next_value(text, value_end(text, first));
        assert_eq!(value(text, second), br#"{"x":"]}"}"#);
        let third = next_value(text, value_end(text, second));
        assert_eq!(value(text, third), b"2.50");
    }

    #[test]
    fn stops_at_the_end_of_nonsense() {
        for text in ["", "\"", "[[[", "\"\\", "{\"a"] {
            for at in 0..=text.len() {
                assert!(value_end(text.as_bytes(), at) <= text.len().max(at));
                let _ = after_key(text.as_bytes(), at);
            }
        }
    }
}
