//! How fast, for people: `cargo test --release -p millrace-ingest --lib rows_per_second -- --ignored --nocapture`.

use super::*;

/// Seconds this thread was on a processor (Linux): other load on the machine does not count.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

#[test]
#[ignore = "measures; says nothing about right or wrong"]
fn rows_per_second() {
    let columns = [
        ("time", TimestampTz),
        ("user", Text),
        ("page", Text),
        ("channel", Text),
        ("country", Text),
        ("added", BigInt),
        ("deleted", BigInt),
        ("delta", BigInt),
        ("isRobot", Boolean),
        ("isNew", Boolean),
        ("score", Double),
        ("price", Numeric { precision: 12, scale: 2 }),
    ];
    let payloads: Vec<String> = (0..1_000)
        .map(|i| {
            format!(
                r##"{{"time":"2015-09-12T00:46:58.{:03}Z","user":"user {i}","page":"Talk:Oswald Tilghman {i}","channel":"#en.wikipedia","country":"Switzerland","added":{i},"deleted":0,"delta":-{i},"isRobot":false,"isNew":true,"score":0.{i}25,"price":{i}.25}}"##,
                i % 1_000
            )
        })
        .collect();
    let bytes: usize = payloads.iter().map(String::len).sum::<usize>() / payloads.len();
    let mut decoder = decoder(&columns);
    for round in 0..5 {
        let start = cpu_seconds();
        for _ in 0..100 {
            for payload in &payloads {
                decoder.push(Some(payload.as_bytes())).unwrap();
            }
            assert_eq!(decoder.finish().unwrap().num_rows(), 1_000);
        }
        let rate = 100_000.0 / (cpu_seconds() - start);
        println!("round {round}: {rate:.0} rows per CPU-second, {bytes} B each");
    }
}
