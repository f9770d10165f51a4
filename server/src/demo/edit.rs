//! Made-up edits of wikis, shaped like those of the Wikipedia stream.

use chrono::DateTime;
use std::fmt::Write;

const CHANNELS: [(&str, u64); 12] = [
    ("#en.wikipedia", 30),
    ("#vi.wikipedia", 15),
    ("#de.wikipedia", 9),
    ("#fr.wikipedia", 8),
    ("#ru.wikipedia", 7),
    ("#it.wikipedia", 6),
    ("#es.wikipedia", 6),
    ("#zh.wikipedia", 5),
    ("#ja.wikipedia", 5),
    ("#pt.wikipedia", 4),
    ("#ar.wikipedia", 3),
    ("#ca.wikipedia", 2),
];
const NAMESPACES: [&str; 5] = ["Main", "Main", "Talk", "User", "Wikipedia"];
const COUNTRIES: [&str; 8] = ["Germany", "France", "United States", "Japan", "Brazil", "India", "Italy", "Spain"];
const WORDS: [&str; 16] = [
    "river", "bridge", "history", "station", "football", "theorem", "island", "castle", "album", "village", "species",
    "election", "mountain", "railway", "novel", "comet",
];
const COMMENTS: [&str; 6] = [
    "copy edit",
    "/* History */ added a source",
    "fixed typo",
    "removed vandalism",
    "new section",
    "updated the figures",
];

/// Makes edits, one after the other; equal seeds make equal edits.
#[derive(Debug)]
pub(super) struct Edits {
    state: u64,
}

impl Edits {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed | 1 }
    }

    /// Writes the next edit as JSON, made at `now` (microseconds since 1970).
    pub(super) fn write(&mut self, now: i64, out: &mut String) {
        out.clear();
        let time = DateTime::from_timestamp_micros(now).unwrap_or_default().format("%Y-%m-%dT%H:%M:%S%.6fZ");
        let (channel, page, user) = (self.channel(), self.skewed(20_000), self.skewed(5_000));
        let robot = self.below(5) == 0;
        let (added, deleted) = (self.skewed(2_000), if self.below(3) == 0 { self.skewed(400) } else { 0 });
        let title = format!("{} {} {page}", pick(&WORDS, page), pick(&WORDS, page / 7));
        let who = if robot { format!("Bot{}", user % 40) } else { format!("User{user}") };
        let delta = i64::try_from(added).unwrap_or(0) - i64::try_from(deleted).unwrap_or(0);
        let country = match self.below(4) {
            0 => format!("\"{}\"", pick(&COUNTRIES, user)),
            _ => "null".to_owned(),
        };
        let (namespace, comment, new) = (pick(&NAMESPACES, page), pick(&COMMENTS, self.next()), self.below(20) == 0);
        let _ = write!(
            out,
            "{{\"time\":\"{time}\",\"channel\":\"{channel}\",\"page\":\"{title}\",\"user\":\"{who}\",\
             \"namespace\":\"{namespace}\",\"comment\":\"{comment}\",\"countryName\":{country},\"isRobot\":{robot},\
             \"isNew\":{new},\"added\":{added},\"deleted\":{deleted},\"delta\":{delta}}}"
        );
    }

    fn channel(&mut self) -> &'static str {
        let total: u64 = CHANNELS.iter().map(|(_, weight)| weight).sum();
        let mut at = self.below(total);
        for (name, weight) in CHANNELS {
            if at < weight {
                return name;
            }
            at -= weight;
        }
        "#en.wikipedia"
    }

    /// Below `n`, small numbers far more often than large ones.
    fn skewed(&mut self, n: u64) -> u64 {
        let a = self.below(n);
        let b = self.below(n);
        a * b / n
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// Marsaglia's xorshift64, multiplied (Vigna 2016).
    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }
}

fn pick(words: &[&'static str], at: u64) -> &'static str {
    let count = u64::try_from(words.len()).unwrap_or(1).max(1);
    usize::try_from(at % count).ok().and_then(|i| words.get(i)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_json_and_repeatable() {
        let (mut a, mut b, mut text, mut other) = (Edits::new(7), Edits::new(7), String::new(), String::new());
        let mut channels = std::collections::BTreeSet::new();
        for i in 0..2_000 {
            a.write(1_700_000_000_000_000 + i, &mut text);
            b.write(1_700_000_000_000_000 + i, &mut other);
            assert_eq!(text, other);
            let edit: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(
                edit["delta"].as_i64().unwrap(),
                edit["added"].as_i64().unwrap() - edit["deleted"].as_i64().unwrap()
            );
            channels.insert(edit["channel"].as_str().unwrap().to_owned());
        }
        assert_eq!(channels.len(), CHANNELS.len());
    }
}
