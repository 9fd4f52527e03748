#!/usr/bin/env python3
"""What should have been sent, worked out from recorded replies of HAProxy and from docs/fields.md alone, and held against what was.

Usage: independent.py KEPT LINES OPTIONS

KEPT is a directory of snapshots as haproxystats-pull makes them. LINES is a file with the lines that Graphite got. OPTIONS is
JSON: namespace, host (as in the paths), and those of [process] that are not the default:
  selection    "default" or "all"
  times        "plain" or "weighted"
  totals       servers over all backends
  percentages, per_process, status
  hosts        by source of files: [host, cluster or null]; then clusters are expected as well

The rules are read from the tables of docs/fields.md, the rules for clusters from docs/scaling.md. Nothing is shared with the program.
Figures of haproxystats about itself are left out. Prints a summary and the first differences; status 1 when there is any.
"""

import csv
import io
import json
import math
import os
import re
import sys
from collections import Counter, defaultdict

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../docs")
KINDS = ["frontend", "backend", "server"]
TIMES = ["qtime", "ctime", "rtime", "ttime"]
COMPANIONS = [  # percentage, figure, limit
    ("ConnPercentage", "CurrConns", "Maxconn"),
    ("ConnRatePercentage", "ConnRate", "ConnRateLimit"),
    ("SslConnPercentage", "CurrSslConns", "MaxSslConns"),
    ("SslRatePercentage", "SslRate", "SslRateLimit"),
]


def tables(document):
    """Tables of a document as lists of rows, by the words of their header."""
    found, header = defaultdict(list), None
    for line in open(os.path.join(DOCS, document)):
        if not line.startswith("|"):
            header = None
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if header is None:
            header = tuple(cells)
            found[header].append([])
        elif not set(line) <= set("|-: \n"):
            found[header][-1].append(cells)
    return found


def code(text):
    return text.strip("`")


PAGE = tables("fields.md")
FIELDS = {}  # (kind, field): (rule, bold, nature)
for name, *rules, unit, nature, since, about in PAGE[
    ("field", "frontend", "backend", "server", "unit", "nature", "since", "meaning")
][0]:
    for kind, rule in zip(KINDS, rules):
        if rule:
            FIELDS[kind, code(name)] = (rule.strip("*"), rule.startswith("**"), nature)
DAEMON = {}  # field: (rule, bold, nature)
for name, rule, unit, nature, since, about in PAGE[("field", "over processes", "unit", "nature", "since", "meaning")][0]:
    DAEMON[code(name)] = (rule.strip("*"), rule.startswith("**"), nature)
STATUS, CHECK, OPEN = [
    {word: (int(number), int(severity)) for number, word, about, severity in table}
    for table in PAGE[("code", "word", "meaning", "severity")]
]
COUNTED = {code(metric): states.split(", ") for metric, states in PAGE[("metric", "states")][0]}


OR_BLANK = "sum, none where one is blank"


def safe(name):
    """The table under "Paths"; names longer than 200 bytes do not occur here."""
    assert len(name) <= 200
    return re.sub(r"[.;/\s\x00-\x1f\x7f]", "_", name)


def number(text):
    return int(text) if text else None


def smallest(values):
    return min(values, default=None)


def largest(values):
    return max(values, default=None)


def mean(values):
    return sum(values) / len(values) if values else None


def limit(values):
    """0 is no limit: where one has none, all of them together have none."""
    return None if not values else 0 if 0 in values else sum(values)


def share(values, weights):
    """A weighted mean; the plain one where there are no weights."""
    total = sum(weights)
    return sum(w * v for w, v in zip(weights, values)) / total if total else mean(values)


def weight_of(row):
    requests = next((n for n in (number(row.get(name, "")) for name in ("req_tot", "stot", "lbtot")) if n is not None), 0)
    balanced = number(row.get("lbtot", "")) or 0
    if requests > 0:
        return min(1024, requests)
    return 1 if balanced > 0 else 0


def combine(rule, bold, rows, field, times):
    """One figure over the rows of an object; None where there is none."""
    printed = any(field in row for row in rows)
    if rule == "mean over processes with traffic":
        weights = [(weight_of(row), number(row.get(field, ""))) for row in rows]
        weights = [(w, v) for w, v in weights if w > 0 and v is not None]
        if times == "plain":
            weights = [(1, v) for _, v in weights]
        total = sum(w for w, _ in weights)
        return sum(w * v for w, v in weights) / total if total else None
    values = [number(row[field]) for row in rows if field in row]
    if bold and not (rule != "sum" and not printed):
        values = [value or 0 for value in values] or [0]
    values = [value for value in values if value is not None]
    if rule == "sum":
        return sum(values) if values else None
    if rule == OR_BLANK:
        return sum(values) if len(values) == sum(field in row for row in rows) > 0 else None
    if rule == "sum, 0 where one is 0":
        return limit(values)
    if rule == "mean":
        return mean(values)
    if rule == "max":
        return largest(values)
    if rule == "min":
        return smallest(values)
    if rule == "min of values ≥ 0":
        return smallest([value for value in values if value >= 0])
    raise SystemExit(f"a rule that is not known: {rule}")


def word_of(status):
    """The word of the table for a status of HAProxy."""
    # Newer HAProxy says UP -1/3 of a server that it takes for up before the first check.
    if re.fullmatch(r"(UP|DOWN) -?\d+/\d+", status):
        return status.split(" ")[0] + " n/m"
    first = status.split(" ")[0]
    if status == "no check":
        return status
    if status == "UP (UNPUB)":
        return "UP unpub"
    return {"DOWN": "DOWN", "MAINT": "MAINT", "NOLB": "NOLB", "DRAIN": "DRAIN", "UP": "UP"}.get(first, "unknown")


def worst(words, table):
    return max(words, key=lambda word: table[word][1], default=None)


class Host:
    """Figures of a host: by object, by field."""

    def __init__(self, infos, stats, options):
        self.options = options
        self.values = {}  # (path of the object, kind): {field: value}
        self.weights = {}  # the same: weight
        self.daemon = {}
        self.processes = {}
        self.stats(stats)
        self.infos(infos)

    def fields(self, kind):
        every = self.options["selection"] == "all"
        return [(f, rule) for (k, f), rule in FIELDS.items() if k == kind and (every or rule[1])]

    def stats(self, stats):
        objects, totals = defaultdict(list), defaultdict(list)
        for row in (row for rows in stats for row in rows):
            proxy, name = safe(row["pxname"]), safe(row["svname"])
            if row["type"] == "0":
                objects[f"frontend.{proxy}", "frontend"].append(row)
            elif row["type"] == "1":
                objects[f"backend.{proxy}", "backend"].append(row)
            elif row["type"] == "2":
                objects[f"backend.{proxy}.server.{name}", "server"].append(row)
                totals[f"server.{name}", "server"].append(row)
        every = {f for rows in stats for row in rows[:1] for f in row}
        for key, rows in objects.items():
            figures = self.values.setdefault(key, {})
            for field, (rule, bold, nature) in self.fields(key[1]):
                if field in every or (bold and rule == "sum"):
                    figures[field] = combine(rule, bold, rows, field, self.options["times"])
            self.weights[key] = sum(map(weight_of, rows))
            if self.options["status"] and key[1] != "frontend":
                state = worst([word_of(row["status"]) for row in rows], STATUS)
                figures["status_up"] = int(state in ("UP", "UP n/m", "no check", "DRAIN"))
                if key[1] == "server":
                    figures["status"] = STATUS[state][0]
                    checks = [row["check_status"].removeprefix("* ") for row in rows]
                    check = worst([check if check in CHECK else "UNK" for check in checks if check], CHECK)
                    figures["check_status"] = CHECK[check][0] if check else None
        backends = defaultdict(list)
        for (path, kind), rows in objects.items():
            if kind == "backend":
                backends[path]
            if kind == "server":
                backends[path.split(".server.")[0]].append(rows)
        for path, servers in backends.items():
            figures = self.values.setdefault((path, "backend"), {})
            figures["TotalServers"] = len(servers)
            if self.options["status"]:
                states = [worst([word_of(row["status"]) for row in rows], STATUS) for rows in servers]
                for metric, counted in COUNTED.items():
                    figures[metric] = sum(state in counted for state in states)
        if self.options["totals"]:
            for key, rows in totals.items():
                figures = self.values.setdefault(key, {})
                for (kind, field), (rule, bold, nature) in FIELDS.items():
                    if kind == "server" and bold:
                        figures[field] = combine(rule, bold, rows, field, "weighted")
                self.weights[key] = sum(map(weight_of, rows))

    def infos(self, infos):
        every = self.options["selection"] == "all"
        chosen = {f: rule for f, rule in DAEMON.items() if every or rule[1]}

        def figures(processes, alone):
            found = {}
            for field, (rule, bold, nature) in chosen.items():
                values = [p[field] for p in processes if field in p]
                if alone:
                    value = values[0] if values else None
                elif rule == "sum":
                    value = sum(values) if values or bold else None
                elif rule == "mean weighted by `SslRate`":
                    having = [p for p in processes if field in p]
                    value = share(values, [p.get("SslRate", 0) for p in having])
                else:
                    rules = {"mean": mean, "max": largest, "min": smallest, "sum, 0 where one is 0": limit}
                    value = rules[rule](values)
                    if rule.startswith("sum") and bold and not values:
                        value = 0
                found[field.replace(" ", "_")] = value
            if self.options["percentages"]:
                for name, figure, bound in COMPANIONS:
                    having, bounds = [[p[f] for p in processes if f in p] for f in (figure, bound)]
                    if having and bounds:
                        value, most = sum(having), limit(bounds)
                        # Of no limit there is no part, where others have one; 0 where none has.
                        if most or not any(bounds):
                            found[name] = 100 * value // most if most else 0
            return found

        processes = list(infos.values())
        if not processes:
            return
        self.daemon = figures(processes, False)
        usage = sorted(100 - p["Idle_pct"] for p in processes if "Idle_pct" in p)
        if len(processes) > 1 and usage:
            for percentile in (25, 50, 75, 95, 99):
                rank = round(percentile / 100 * (len(usage) - 1))  # halves to the even one
                self.daemon[f"{percentile}PercentileCpuUsagePct"] = usage[rank]
            if len(usage) > 1:
                middle = sum(usage) / len(usage)
                squares = sum((value - middle) ** 2 for value in usage)
                self.daemon["StdCpuUsagePct"] = math.sqrt(squares / (len(usage) - 1))
        if self.options["per_process"]:
            numbers = Counter(p.get("Process_num") for p in processes)
            for source, process in infos.items():
                own = process.get("Process_num")
                name = str(own) if own is not None and numbers[own] == 1 else safe(source)
                self.processes[name] = figures([process], True)
                self.processes[name]["CpuUsagePct"] = 100 - process["Idle_pct"]

    def points(self):
        for (path, kind), figures in self.values.items():
            for field, value in figures.items():
                yield f"{path}.{field}", value
        for field, value in self.daemon.items():
            yield f"daemon.{field}", value
        for name, figures in self.processes.items():
            for field, value in figures.items():
                yield f"daemon.process.{name}.{field}", value


def over_hosts(rule, nature, values):
    """The table of docs/scaling.md; `values` are of the hosts that have one, each with its weight."""
    if rule == "mean over processes with traffic":
        total = sum(w for _, w in values)
        return sum(v * w for v, w in values) / total if total else None
    values = [value for value, _ in values]
    if not values:
        return None
    if nature in ("max", "duration") or rule == "max":
        return max(values)
    if nature == "age" or rule.startswith("min"):
        return min(values)
    if nature == "average" or rule == "mean":
        return sum(values) / len(values)
    return limit(values) if rule == "sum, 0 where one is 0" else sum(values)


def cluster(hosts, options):
    weighted = dict(options, times="weighted")
    made = [Host(*host, weighted) for host in hosts]
    for key in {key for host in made for key in host.values}:
        path, kind = key
        having = [host for host in made if key in host.values]
        fields = {field for host in having for field in host.values[key]}
        for field in fields:
            values = [(h.values[key][field], h.weights.get(key, 0)) for h in having if h.values[key].get(field) is not None]
            if field == "TotalServers":
                prefix = path + ".server."
                yield f"{path}.{field}", len({p for h in made for p, _ in h.values if p.startswith(prefix)})
            elif (kind, field) in FIELDS:
                rule, bold, nature = FIELDS[kind, field]
                # A host without a limit leaves the cluster without one.
                unlimited = rule == OR_BLANK and any(h.values[key].get(field, 0) is None for h in having)
                yield f"{path}.{field}", None if unlimited else over_hosts(rule, nature, values)
    for field in {field for host in made for field in host.daemon}:
        values = [(h.daemon[field], 0) for h in made if h.daemon.get(field) is not None]
        rule, bold, nature = DAEMON.get(field.replace("Unstoppable_Jobs", "Unstoppable Jobs"), ("mean", False, "average"))
        yield f"daemon.{field}", over_hosts(rule, nature, values)


def read(snapshot):
    infos, stats = {}, {}
    for name in sorted(os.listdir(snapshot)):
        path = os.path.join(snapshot, name)
        if name.endswith("_info"):
            figures = infos[name.removesuffix("_info")] = {}
            for line in open(path):
                field, _, value = line.rstrip("\n").partition(": ")
                if re.fullmatch(r"-?\d+", value):
                    figures[field] = int(value)
        elif name.endswith("_stat"):
            text = open(path, newline="").read()
            header, *rows = [row for row in csv.reader(io.StringIO(text.removeprefix("# "))) if row]
            assert all(len(row) == len(header) for row in rows), path
            stats[name.removesuffix("_stat")] = [dict(zip(header, row)) for row in rows]
    return infos, stats


def expected(snapshot, options):
    infos, stats = read(snapshot)
    base, own = options["namespace"], options["host"]
    if not options.get("hosts"):
        for path, value in Host(infos, list(stats.values()), options).points():
            yield f"{base}.{own}.haproxy.{path}", value
        return
    parts = defaultdict(lambda: ({}, []))
    for source in infos:
        parts[tuple(options["hosts"][source])][0][source] = infos[source]
    for source in stats:
        parts[tuple(options["hosts"][source])][1].append(stats[source])
    clusters = defaultdict(list)
    for (name, of), host in parts.items():
        clusters[of].append(host)
        for path, value in Host(*host, options).points():
            yield f"{base}.{safe(name)}.haproxy.{path}", value
    for name, hosts in clusters.items():
        if name is not None:
            for path, value in cluster(hosts, options):
                yield f"{base}.cluster.{name}.haproxy.{path}", value


def main():
    kept, lines, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    options = {"selection": "default", "times": "plain", "totals": False, "percentages": False, "per_process": False,
               "status": False} | options
    sent = defaultdict(dict)
    for line in open(lines):
        path, value, time = line.split()
        if ".haproxystats." not in path:
            assert path not in sent[time] or sent[time][path] == float(value), f"two values: {line}"
            sent[time][path] = float(value)
    points, wrong, missing, surplus, examples = 0, 0, 0, 0, []
    snapshots = sorted(os.listdir(kept))
    for time in snapshots:
        wanted = {path: value for path, value in expected(os.path.join(kept, time), options) if value is not None}
        found = sent.pop(time, {})
        points += len(wanted)
        for path in wanted.keys() - found.keys():
            missing += 1
            examples.append(f"missing: {path} {wanted[path]} {time}")
        for path in found.keys() - wanted.keys():
            surplus += 1
            examples.append(f"surplus: {path} {found[path]} {time}")
        for path in wanted.keys() & found.keys():
            if abs(wanted[path] - found[path]) > 1e-9 * max(1, abs(wanted[path])):
                wrong += 1
                examples.append(f"wrong: {path} {found[path]} {time} instead of {wanted[path]}")
    for time, paths in sent.items():
        surplus += len(paths)
        examples.append(f"surplus: {len(paths)} points of {time}, of which there is no snapshot")
    for example in examples[:40]:
        print(example)
    print(f"{len(snapshots)} snapshots, {points} points, {wrong} wrong, {missing} missing, {surplus} surplus")
    sys.exit(bool(wrong or missing or surplus))


if __name__ == "__main__":
    main()
