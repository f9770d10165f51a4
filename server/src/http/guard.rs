//! Keeps web pages out: a browser names the page's origin and the host it believes to speak to.
//!
//! A page of another origin may send us requests (cross-site request), and a name of the attacker's may resolve to
//! 127.0.0.1 (DNS rebinding); both are refused with 403 before anything else looks at the request.

use super::{HttpState, failure};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use millrace_error::{Error, ErrorKind, Result};
use std::net::IpAddr;

/// The middleware.
pub(super) async fn check(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    match admit(request.headers(), request.uri(), &state.config.hosts) {
        Ok(()) => next.run(request).await,
        Err(error) => failure::respond(&error),
    }
}

fn admit(headers: &HeaderMap, uri: &Uri, listed: &[String]) -> Result<()> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|h| h.to_str().ok()).unwrap_or_default();
    let target = uri.authority().map_or(host, |a| a.as_str());
    if hosts.next().is_some() || ![host, target].iter().all(|h| is_ours(h, listed)) {
        return Err(Error::new(ErrorKind::Denied, format!("unknown Host {host:?}"))
            .hint("use localhost or 127.0.0.1, or list the name under http.hosts"));
    }
    for origin in headers.get_all(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or("?");
        let authority = origin.split_once("://").map_or("", |(_, rest)| rest);
        if authority.is_empty() || !authority.eq_ignore_ascii_case(host) {
            return Err(Error::new(ErrorKind::Denied, format!("foreign Origin {origin:?}"))
                .hint("pages of other origins may not query this server"));
        }
    }
    Ok(())
}

fn is_ours(host: &str, listed: &[String]) -> bool {
    let name = without_port(host).to_ascii_lowercase();
    name == "localhost"
        || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        || (!name.is_empty() && listed.contains(&name))
}

fn without_port(host: &str) -> &str {
    if host.starts_with('[') {
        return host.find(']').and_then(|end| host.get(..=end)).unwrap_or(host);
    }
    host.split_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(host: &[&str], origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        for h in host {
            headers.append(header::HOST, h.parse().unwrap());
        }
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        admit(&headers, &"/v1/query".parse().unwrap(), &["db.example".to_owned()]).is_ok()
    }

    #[test]
    fn loopback_and_listed_hosts_come_in() {
        for host in
            ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080", "[::1]", "db.example:443"]
        {
            assert!(admitted(&[host], None), "{host}");
        }
    }

    #[test]
    fn other_hosts_do_not() {
        for host in
            ["", "evil.example", "192.168.0.1:8080", "localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0"]
        {
            assert!(!admitted(&[host], None), "{host}");
        }
        assert!(!admitted(&[], None));
        assert!(!admitted(&["localhost", "localhost"], None));
    }

    #[test]
    fn only_the_own_origin_comes_in() {
        assert!(admitted(&["localhost:8080"], Some("http://localhost:8080")));
        for origin in ["http://localhost:9090", "https://evil.example", "null", "http://", "localhost:8080"] {
            assert!(!admitted(&["localhost:8080"], Some(origin)), "{origin}");
        }
    }

    #[test]
    fn an_absolute_target_is_judged_too() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "localhost".parse().unwrap());
        assert!(admit(&headers, &"http://evil.example/v1/query".parse().unwrap(), &[]).is_err());
    }
}
