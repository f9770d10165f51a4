//! The path of a field inside a JSON document: `$.a.b[0]`, `$['x.y']`.

use millrace_error::{Error, ErrorKind, Result};
use std::fmt;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathStep {
    /// Into an object's field.
    Field(String),
    /// Into an array's element, from 0.
    Index(usize),
}

/// A parsed path, at least one step long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath(Vec<PathStep>);

impl JsonPath {
    /// The path of a top-level field of exactly this name.
    pub fn field(name: impl Into<String>) -> Self {
        Self(vec![PathStep::Field(name.into())])
    }

    /// The steps, outermost first.
    pub fn steps(&self) -> &[PathStep] {
        &self.0
    }

    /// Parses `$.a.b[0]` or `$['x.y']`.
    ///
    /// # Errors
    /// `InvalidValue` naming the path and the place.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |why: &str| {
            Error::new(ErrorKind::InvalidValue, format!("invalid JSON path {text:?}: {why}"))
                .hint("write it like $.a.b[0] or $['x.y']")
        };
        let mut rest = text.strip_prefix('$').ok_or_else(|| bad("it must start with $"))?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                let (name, tail) = after.split_at(end);
                if name.is_empty() {
                    return Err(bad("empty field name"));
                }
                steps.push(PathStep::Field(name.to_owned()));
                rest = tail;
            } else if let Some(after) = rest.strip_prefix("['") {
                let end = after.find("']").ok_or_else(|| bad("missing ']"))?;
                let (name, tail) = after.split_at(end);
                steps.push(PathStep::Field(name.to_owned()));
                rest = tail.get(2..).unwrap_or("");
            } else if let Some(after) = rest.strip_prefix('[') {
                let end = after.find(']').ok_or_else(|| bad("missing ]"))?;
                let (digits, tail) = after.split_at(end);
                steps.push(PathStep::Index(digits.parse().map_err(|_| bad("an index is a whole number"))?));
                rest = tail.get(1..).unwrap_or("");
            } else {
                return Err(bad("expected . or ["));
            }
        }
        if steps.is_empty() { Err(bad("it names nothing")) } else { Ok(Self(steps)) }
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for step in &self.0 {
            match step {
                PathStep::Field(name) if name.is_empty() || name.contains(['.', '[', ']']) => write!(f, "['{name}']")?,
                PathStep::Field(name) => write!(f, ".{name}")?,
                PathStep::Index(i) => write!(f, "[{i}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints() {
        for path in ["$.a.b[0]", "$['x.y']", "$.a[1][2].c"] {
            assert_eq!(JsonPath::parse(path).unwrap().to_string(), path);
        }
    }

    #[test]
    fn refuses_nonsense() {
        for path in ["", "$", "a", "$.", "$..a", "$[x]", "$[1", "$['a", "$a"] {
            assert_eq!(JsonPath::parse(path).unwrap_err().kind(), ErrorKind::InvalidValue, "{path}");
        }
    }
}
