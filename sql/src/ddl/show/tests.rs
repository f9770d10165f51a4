//! What is quoted and what is hidden.

use super::*;

#[test]
fn names_are_quoted_where_they_must_be() {
    for (name, want) in
        [("a_1", "a_1"), ("Ab", "\"Ab\""), ("1a", "\"1a\""), ("a\"b", "\"a\"\"b\""), ("select", "\"select\"")]
    {
        assert_eq!(quoted(name), want);
    }
}

#[test]
fn secrets_are_known_by_their_names() {
    for (key, value, want) in [
        ("sasl.password", "x", true),
        ("SASL.PASSWORD", "x", true),
        ("sasl.oauthbearer.client.secret", "x", true),
        ("sasl.jaas.config", "x", true),
        ("ssl.key.pem", "x", true),
        ("sasl.password", "env:PW", false),
        ("ssl.key.password", "file:/run/pw", false),
        ("security.protocol", "SASL_SSL", false),
        ("fetch.min.bytes", "5", false),
    ] {
        assert_eq!(is_secret(key, value), want, "{key}");
    }
}

#[test]
fn a_start_is_shown_as_it_is_read() {
    assert_eq!(start(&StartPosition::Timestamp(1_500_000)), "1970-01-01T00:00:01.500000Z");
}
