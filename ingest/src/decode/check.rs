//! The slow, exact reader: why a payload that the tape refused is poison, or where its numbers are.
//!
//! What enters: a payload that simd-json refused. What leaves: the [`Poison`], or (where the document is sound JSON and
//! only has numbers that fit neither 64 bits nor a double) the places of its numbers, so that the caller can hide them
//! from the tape and read them from the text. Grammar: RFC 8259, nothing more. No recursion.

use super::{DEPTH_MAX, Poison, excerpt};
use millrace_schema::PoisonReason;
use std::ops::Range;

/// Reads a whole document. `Ok`: where its numbers are.
///
/// # Errors
/// The poison that it is: `invalid_utf8`, `too_deep` or `invalid_json`, naming the place.
pub(super) fn numbers(text: &[u8]) -> Result<Vec<Range<usize>>, Poison> {
    if let Err(e) = std::str::from_utf8(text) {
        let at = e.valid_up_to();
        let found = text.get(at).map_or(0, |b| *b);
        return Err(Poison::new(PoisonReason::InvalidUtf8, format!("byte {at} (0x{found:02x}) is not UTF-8")));
    }
    if text.starts_with(b"\xef\xbb\xbf") {
        return Err(Poison::new(PoisonReason::InvalidJson, "byte order mark before the value"));
    }
    let mut reader = Reader { text, at: 0, depth: 0, objects: 0, numbers: Vec::new() };
    reader.document()?;
    Ok(reader.numbers)
}

/// A reader of one document; `objects` has a bit for each open level: 1 object, 0 array, innermost lowest.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    objects: u128,
    numbers: Vec<Range<usize>>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn space(&mut self) {
        self.at = super::source_text::skip_space(self.text, self.at);
    }

    fn fail<T>(&self, why: &str) -> Result<T, Poison> {
        let near = excerpt(self.text.get(self.at..).unwrap_or_default());
        let place = if near.is_empty() { "at the end".to_owned() } else { format!("at byte {}: {near}", self.at) };
        Err(Poison::new(PoisonReason::InvalidJson, format!("{why} {place}")))
    }

    fn document(&mut self) -> Result<(), Poison> {
        loop {
            self.space();
            if self.value()? {
                continue;
            }
            loop {
                self.space();
                if self.depth == 0 {
                    return if self.at == self.text.len() { Ok(()) } else { self.fail("something after the value") };
                }
                let in_object = self.objects & 1 == 1;
                if self.eat(b',') {
                    if in_object {
                        self.key()?;
                    }
                    break;
                }
                if !self.eat(if in_object { b'}' } else { b']' }) {
                    return self.fail(if in_object { "expected , or }" } else { "expected , or ]" });
                }
                self.close();
            }
        }
    }

    /// Reads a scalar or an empty container, or opens one: `true` when its first element or value is next.
    fn value(&mut self) -> Result<bool, Poison> {
        match self.peek() {
            Some(open @ (b'{' | b'[')) => {
                self.open(open == b'{')?;
                self.space();
                if self.eat(if open == b'{' { b'}' } else { b']' }) {
                    self.close();
                    return Ok(false);
                }
                if open == b'{' {
                    self.key()?;
                }
                return Ok(true);
            }
            Some(b'"') => self.string()?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => {
                let word = ["true", "false", "null"]
                    .into_iter()
                    .find(|word| self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())));
                match word {
                    Some(word) => self.at += word.len(),
                    None => return self.fail("expected a value"),
                }
            }
        }
        Ok(false)
    }

    fn open(&mut self, object: bool) -> Result<(), Poison> {
        if self.depth == DEPTH_MAX {
            let detail = format!("nested deeper than {DEPTH_MAX} levels at byte {}", self.at);
            return Err(Poison::new(PoisonReason::TooDeep, detail));
        }
        self.at += 1;
        self.depth += 1;
        self.objects = (self.objects << 1) | u128::from(object);
        Ok(())
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
    }

    fn key(&mut self) -> Result<(), Poison> {
        self.space();
        if self.peek() != Some(b'"') {
            return self.fail("expected a field name");
        }
        self.string()?;
        self.space();
        if self.eat(b':') { Ok(()) } else { self.fail("expected :") }
    }

    fn string(&mut self) -> Result<(), Poison> {
        self.at += 1;
        loop {
            match self.peek() {
                None => return self.fail("a string without end"),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(0..0x20) => return self.fail("a control character inside a string"),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<(), Poison> {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let Some(unit) = self.hex(self.at) else { return self.fail("an invalid escape") };
                let pair = matches!(unit, 0xd800..0xdc00) && matches!(self.hex(self.at + 6), Some(0xdc00..0xe000));
                if matches!(unit, 0xd800..0xe000) && !pair {
                    let detail = format!("\\u{unit:04x} at byte {} is half of a surrogate pair", self.at);
                    return Err(Poison::new(PoisonReason::InvalidUtf8, detail));
                }
                self.at += if pair { 12 } else { 6 };
            }
            _ => return self.fail("an invalid escape"),
        }
        Ok(())
    }

    /// The code unit of the `\uXXXX` at `at`.
    fn hex(&self, at: usize) -> Option<u32> {
        let digits = self.text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |n, d| Some(n * 16 + char::from(*d).to_digit(16)?))
    }

    fn digits(&mut self) -> bool {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at > start
    }

    fn number(&mut self) -> Result<(), Poison> {
        let start = self.at;
        self.eat(b'-');
        let mut sound = self.eat(b'0') || self.digits();
        if self.eat(b'.') {
            sound &= self.digits();
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _ = self.eat(b'+') || self.eat(b'-');
            sound &= self.digits();
        }
        if !sound {
            self.at = start;
            return self.fail("an invalid number");
        }
        self.numbers.push(start..self.at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_the_reason() {
        use PoisonReason::{InvalidJson, InvalidUtf8, TooDeep};
        let deep = "[".repeat(129);
        let cases: [(&[u8], PoisonReason); 15] = [
            (b"{", InvalidJson),
            (b"{\"a\":1}}", InvalidJson),
            (b"{} {}", InvalidJson),
            (b"\xef\xbb\xbf{}", InvalidJson),
            (b"{\"a\":01}", InvalidJson),
            (b"{\"a\":1.}", InvalidJson),
            (b"{\"a\":+1}", InvalidJson),
            (b"{'a':1}", InvalidJson),
            (b"{\"a\":\"\\x\"}", InvalidJson),
            (b"{\"a\":\"\n\"}", InvalidJson),
            (b"[1,]", InvalidJson),
            (b"\xff\xfe\x00", InvalidUtf8),
            (br#"{"a":"\ud800"}"#, InvalidUtf8),
            (br#"{"a":"\ud800\ud800"}"#, InvalidUtf8),
            (deep.as_bytes(), TooDeep),
        ];
        for (text, reason) in cases {
            let got = numbers(text).expect_err(&String::from_utf8_lossy(text));
            assert_eq!(got.reason, reason, "{} {got}", String::from_utf8_lossy(text));
        }
        let deepest = format!("{}{}", "[".repeat(128), "]".repeat(128));
        assert_eq!(numbers(deepest.as_bytes()), Ok(vec![]));
        assert_eq!(numbers(br#"{"a":[1,-2.5e+7],"b":"3\ud83d\ude00"}"#), Ok(vec![6..7, 8..15]));
    }

    proptest! {
        /// Three readers, one opinion: this one, serde_json, and simd-json (which may refuse big numbers).
        #[test]
        fn agrees_with_serde_and_simd(text in r#"([\[\]{},:" 0-9.eE+-]|true|null|"a"|"a":|\\u[dD]8[0-9a-f]{2}|\\n|[[:cntrl:]]|é){0,24}"#) {
            let ours = numbers(text.as_bytes());
            let serde = serde_json::from_str::<serde_json::Value>(&text);
            prop_assert_eq!(ours.is_ok(), serde.is_ok(), "{:?} {:?} {:?}", text, ours, serde);
            let mut copy = text.clone().into_bytes();
            if simd_json::to_tape(&mut copy).is_ok() {
                prop_assert!(ours.is_ok(), "simd-json takes {text:?}: {ours:?}");
            }
        }
    }
}
