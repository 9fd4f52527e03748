"""ClickHouse itself, embedded (chdb): statements in, one on each line as a string of JSON; rows or an error out, likewise."""

import json
import sys

from chdb import session

clickhouse = session.Session()
clickhouse.query("CREATE DATABASE haproxystats ENGINE = Atomic")
for line in sys.stdin:
    try:
        rows = str(clickhouse.query("USE haproxystats; " + json.loads(line), "JSONEachRow"))
        answer = {"rows": [json.loads(row) for row in rows.splitlines() if row.strip()]}
    except Exception as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
