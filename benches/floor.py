"""The floor: sends a workload's statements one by one to DuckDB, in one process, on a file database.

    python floor.py WORKLOAD DATABASE

No tool can do the same statements one after the other for less. Each statement commits on its own. A test
is a query whose first column counts failures; one that finds any ends the program with an error.
"""

import json
import os
import sys
from pathlib import Path

import duckdb


def main():
    workload, database = sys.argv[1:]
    database = Path(database).absolute()
    database.parent.mkdir(parents=True, exist_ok=True)
    os.chdir(workload)
    text = Path("floor.sql").read_text()
    connection = duckdb.connect(str(database))
    tests = 0
    for statement in text.split(";\n"):
        if not statement:
            continue
        result = connection.execute(statement)
        if statement.startswith("select count(*) as failures"):
            tests += 1
            if result.fetchone()[0] != 0:
                sys.exit(f"a test of the floor failed:\n{statement}")
    connection.close()
    print(json.dumps({"tests": tests}))


if __name__ == "__main__":
    main()
