//! A real `millrace` process and the ways to talk to it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// Environment besides the test's own.
    pub env: Vec<(String, String)>,
    /// Arguments besides data directory and ports.
    pub args: Vec<String>,
}

/// A server over a data directory that outlives its processes.
#[derive(Debug)]
pub struct Server {
    /// The data directory.
    pub dir: PathBuf,
    top: tempfile::TempDir,
    child: Option<Child>,
    addresses: serde_json::Value,
}

/// The binary under test: `MILLRACE_BIN`, or the dev build beside the test itself.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("MILLRACE_BIN") {
        return path.into();
    }
    let exe = std::env::current_exe().unwrap();
    let path = exe.parent().unwrap().parent().unwrap().join("millrace");
    assert!(path.is_file(), "no {}: build the workspace first", path.display());
    path
}

impl Server {
    /// Starts a server over an empty data directory.
    pub async fn start() -> Self {
        Self::start_with(&ServerOptions::default()).await
    }

    /// Starts a server over an empty data directory with options.
    pub async fn start_with(options: &ServerOptions) -> Self {
        let top = tempfile::Builder::new().prefix("millrace-test-").tempdir().unwrap();
        let dir = top.path().join("data");
        std::fs::create_dir(&dir).unwrap();
        let mut server = Self { dir, top, child: None, addresses: serde_json::Value::Null };
        server.spawn(options);
        server.ready().await;
        server
    }

    /// Starts the process again over the same directory.
    pub async fn restart(&mut self) {
        self.restart_with(&ServerOptions::default()).await;
    }

    /// Starts the process again with options.
    pub async fn restart_with(&mut self, options: &ServerOptions) {
        assert!(self.child.is_none(), "still running");
        self.spawn(options);
        self.ready().await;
    }

    /// Starts the process without waiting for it.
    pub fn spawn(&mut self, options: &ServerOptions) {
        let _gone = std::fs::remove_file(self.dir.join("addresses.json"));
        let log = std::fs::File::options().create(true).append(true).open(self.top.path().join("log")).unwrap();
        let child = Command::new(binary())
            .args(["serve", "--pg", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data-dir"])
            .arg(&self.dir)
            .args(&options.args)
            .envs(options.env.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Waits until a spawned process serves.
    pub async fn ready(&mut self) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                panic!("the server ended with {status}: {}", self.log_tail());
            }
            let text = std::fs::read_to_string(self.dir.join("addresses.json")).unwrap_or_default();
            if let Ok(addresses) = serde_json::from_str(&text) {
                self.addresses = addresses;
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "not ready: {}", self.log_tail());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The last lines of its log.
    pub fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.top.path().join("log")).unwrap_or_default();
        log.lines().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// `host:port` of a door: `pg` or `http`.
    pub fn address(&self, door: &str) -> String {
        self.addresses[door].as_str().unwrap_or_else(|| panic!("no {door} in addresses.json")).to_owned()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// A new connection.
    pub async fn connect(&self) -> Client {
        let address = self.address("pg");
        let (host, port) = address.rsplit_once(':').unwrap();
        let config = format!("host={host} port={port} user=millrace dbname=millrace");
        let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Runs statements over a new connection in the simple protocol; rows of text.
    pub async fn sql(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        rows(&self.connect().await, sql).await.unwrap_or_else(|e| panic!("{sql}: {}", describe(&e)))
    }

    /// The SQLSTATE that a statement fails with.
    pub async fn sql_error(&self, sql: &str) -> (String, String) {
        let error = rows(&self.connect().await, sql).await.expect_err(sql);
        let error = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error}"));
        (error.code().code().to_owned(), error.message().to_owned())
    }

    /// The first value of a statement.
    pub async fn one(&self, sql: &str) -> String {
        let rows = self.sql(sql).await;
        rows.first().and_then(|r| r.first()).cloned().flatten().unwrap_or_else(|| panic!("{sql}: no value"))
    }

    /// Waits until a statement's first value is `wanted`.
    pub async fn until(&self, sql: &str, wanted: &str, limit: Duration) {
        let client = self.connect().await;
        let start = Instant::now();
        loop {
            let rows = rows(&client, sql).await.unwrap_or_else(|e| panic!("{sql}: {}", describe(&e)));
            let got = rows.first().and_then(|r| r.first()).cloned().flatten();
            if got.as_deref() == Some(wanted) {
                return;
            }
            assert!(start.elapsed() < limit, "{sql}: {got:?}, wanted {wanted}\n{}", self.log_tail());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Waits until the process ends by itself.
    pub async fn ended(&mut self, limit: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                self.child = None;
                return status;
            }
            assert!(start.elapsed() < limit, "still running after {limit:?}: {}", self.log_tail());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGTERM, and its exit status.
    pub async fn stop(&mut self) -> ExitStatus {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.ended(Duration::from_secs(20)).await
    }

    /// Runs the real psql; whether it ended well, its output and its messages.
    pub fn psql(&self, args: &[&str]) -> (bool, String, String) {
        let address = self.address("pg");
        let (host, port) = address.rsplit_once(':').unwrap();
        let output = Command::new("psql")
            .args(["-X", "-h", host, "-p", port, "-U", "millrace", "-d", "millrace"])
            .args(args)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    }

    /// Anonymous resident memory in bytes (`RssAnon`).
    pub fn anonymous_rss(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|l| l.starts_with("RssAnon:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
    }

    /// User and system time of the process so far, seconds.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    }

    /// Runs `millrace parts TABLE` over the data directory, the server being off; what it printed.
    pub fn parts(&self, table: &str) -> String {
        assert!(self.child.is_none(), "the server must be off");
        let output = Command::new(binary()).args(["parts", table, "--data-dir"]).arg(&self.dir).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Every Parquet file below the data directory.
    pub fn parquet_files(&self) -> Vec<PathBuf> {
        fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else if path.extension().is_some_and(|e| e == "parquet") {
                    found.push(path);
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.dir, &mut found);
        found.sort();
        found
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
        if std::thread::panicking() {
            eprintln!("--- the server's last words\n{}", self.log_tail());
        }
    }
}

/// Runs statements in the simple protocol; the rows of all of them, as text.
pub async fn rows(client: &Client, sql: &str) -> Result<Vec<Vec<Option<String>>>, tokio_postgres::Error> {
    let messages = client.simple_query(sql).await?;
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()),
        _ => None,
    });
    Ok(rows.collect())
}

fn describe(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |e| format!("{} {}", e.code().code(), e.message()))
}
