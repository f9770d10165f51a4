"""Medians in milliseconds of queries over Parquet files in DuckDB with two threads; see scan.rs for the input."""
import json, statistics, sys, time
import duckdb

job = json.load(open(sys.argv[1]))
c = duckdb.connect()
c.execute("SET threads = 2; SET TimeZone = 'UTC'")
c.execute(f"CREATE VIEW hits AS SELECT * FROM read_parquet({job['files']})")


def once(sql):
    start = time.perf_counter()
    c.execute(sql).fetchall()
    return (time.perf_counter() - start) * 1000


print(json.dumps([statistics.median(once(q) for _ in range(job["runs"])) for q in job["queries"]]))
