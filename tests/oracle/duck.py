"""Runs SQL from standard input in DuckDB; prints the rows as JSON. Instants as PostgreSQL prints them in UTC."""
import datetime, decimal, json, pathlib, sys
import duckdb

wiki = pathlib.Path(__file__).resolve().parents[1] / "data/wikiticker-2015-09-12-sampled.json.gz"
sql = sys.stdin.read()
c = duckdb.connect()
c.execute("SET TimeZone = 'UTC'")
if "wikipedia" in sql:
    c.execute(f"""CREATE TABLE wikipedia AS SELECT * REPLACE ("time"::TIMESTAMPTZ AS "time")
                  FROM read_json('{wiki}', format = 'newline_delimited')""")


def plain(v):
    if isinstance(v, datetime.datetime):
        text = v.replace(tzinfo=None).isoformat(" ")
        text = text.rstrip("0") if "." in text else text
        return text + "+00" if v.tzinfo else text
    if isinstance(v, decimal.Decimal):
        return int(v) if v == v.to_integral_value() else float(v)
    return v


print(json.dumps([[plain(v) for v in row] for row in c.execute(sql).fetchall()]))
