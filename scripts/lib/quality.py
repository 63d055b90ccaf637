#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Called by scripts/check quality: writes docs/quality.md.

What was measured is kept in docs/quality.json, each with the day of its run. A result below build/ that is newer takes the
place of the one that is kept there. The rest of the page is counted in docs/platforms.md, docs/benchmarks.md and
benchmarks/instructions.txt.
"""
import collections
import datetime
import glob
import json
import os
import re
import subprocess
import sys

KEPT = "docs/quality.json"
PAGE = "docs/quality.md"


def day_of(path):
    return datetime.date.fromtimestamp(os.path.getmtime(path)).isoformat()


def output_of(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    return done.stdout if done.returncode == 0 else ""


def commit(path=None):
    """The commit that is checked out; nothing if the file, which is the result of a run, is older."""
    name, _, time = output_of("git", "log", "-1", "--abbrev=10", "--format=%h %ct").strip().partition(" ")
    return name if path is None or (time and os.path.getmtime(path) >= int(time)) else ""


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


# --- what was measured, from build/ ---


def names_in(path):
    """The names in a list of ctest's: "NUMBER:NAME" on each line."""
    return {line.split(":", 1)[1] for line in read(path).splitlines()} if os.path.exists(path) else set()


def tests():
    """Every test of every preset of which the last run was whole. One that several presets have counts once."""
    program_of, skipped, failed, days, commits = {}, {}, set(), set(), set()
    for log in sorted(glob.glob("build/*/Testing/Temporary/LastTest.log")):
        ran = re.findall(r"^(\d+)/(\d+) Test: ", read(log), re.MULTILINE)
        build = log.split("/Testing/")[0]
        listed = json.loads(output_of("ctest", "--test-dir", build, "--show-only=json-v1") or '{"tests": []}')["tests"]
        if not ran or len(ran) != int(ran[0][1]) or len(listed) != len(ran):
            continue  # a run of some tests, or built again since
        results = os.path.dirname(log)
        skips, failures = names_in(results + "/LastTestsDisabled.log"), names_in(results + "/LastTestsFailed.log")
        for each in listed:
            program = os.path.basename(each["command"][0]) if each.get("command") else ""
            name = each["name"]
            program_of[name] = program if program.endswith("_tests") else "others"
            skipped[name] = skipped.get(name, True) and name in skips
        failed |= failures
        days.add(day_of(log))
        commits.add(commit(log))
    if not program_of:
        return None
    return {"day": min(days), "commit": commits.pop() if len(commits) == 1 else "", "total": len(program_of),
            "programs": dict(collections.Counter(program_of.values())), "skipped": sum(skipped.values()),
            "failed": len(failed)}


def faults():
    """Runs the program, since ctest runs each of its cases in a process of its own. With a sanitizer no allocation fails."""
    program = "build/dev/tests/faults_tests"
    if not os.path.exists(program):
        return None
    said = re.search(r"^injected failures: (\d+) of system calls, (\d+) of allocations$", output_of(program), re.MULTILINE)
    if not said:
        sys.exit(f"{program} fails, or does not say how many failures it has injected")
    return {"day": datetime.date.today().isoformat(), "commit": commit(), "system_calls": int(said[1]),
            "allocations": int(said[2])}


def fuzz():
    """The last search in each target, by scripts/fuzz or by CI's tests."""
    logs = {}  # of each target
    for log in glob.glob("build/fuzz/*.log") + glob.glob("build/asan/tests/fuzz/run/*/log"):
        name = os.path.basename(log)[:-4] if log.endswith(".log") else os.path.basename(os.path.dirname(log))
        if name not in logs or os.path.getmtime(log) > os.path.getmtime(logs[name]):
            logs[name] = log
    targets = {}
    days = set()
    for name, log in logs.items():
        executed = re.search(r"^stat::number_of_executed_units:\s*(\d+)", read(log), re.MULTILINE)
        took = re.search(r"^Done \d+ runs in (\d+) second", read(log), re.MULTILINE)
        edges = re.findall(r"\bcov: (\d+)", read(log))
        if executed and took and edges:
            targets[name] = {"executions": int(executed[1]), "seconds": int(took[1]), "edges": int(edges[-1])}
            days.add(day_of(log))
    return {"day": min(days), "targets": targets} if targets else None


def coverage():
    path = "build/coverage/report/summary.json"
    if not os.path.exists(path):
        return None
    summary = json.loads(read(path))
    return {"day": day_of(path), "commit": commit(path), "lines": [summary["line_covered"], summary["line_total"]],
            "branches": [summary["branch_covered"], summary["branch_total"]]}


def legs(name):
    path = f"build/legs/{name}"
    if not os.path.exists(path):
        return None
    rows = [line.split("\t", 2) for line in read(path).splitlines()]
    return {"day": day_of(path), "commit": commit(path), "legs": [[what, int(took), how] for took, how, what in rows]}


# --- what other pages say ---


def platforms():
    """In how many rows of the first table of docs/platforms.md the second column begins with each word."""
    words = collections.Counter()
    first_section = read("docs/platforms.md").split("\n## ")[1]
    for line in first_section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 4 and cells[0] not in ("platform", "---"):
            how = cells[1].split(",")[0]
            words["run, by Wine or an emulator" if how.startswith("run by") else how] += 1
    return words


def benchmarks():
    """(row, text) of each bound that is met, and of each that is missed, in the tables of docs/benchmarks.md."""
    row, found = "", {"met": [], "missed": []}
    for line in read("docs/benchmarks.md").splitlines():
        if line.startswith("### "):
            row = line[4:].split(":")[0]
        said = re.match(r"- (?:\*\*)?(met|missed)(?:\*\*)?: (.*)", line)
        if said:
            found[said[1]].append((row, said[2]))
    return found


def last_change(path):
    return output_of("git", "log", "-1", "--format=%cs", "--", path).strip()


# --- the page ---


def table(head, rows):
    right = [all(re.fullmatch(r"[\d,.]+( %)?( of [\d,]+)?", str(row[i])) for row in rows) for i in range(len(head))]
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join("---:" if each else "---" for each in right) + "|"]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows] + [""]


def share(part):
    return f"{100 * part[0] / part[1]:.1f} %"


def plural(number, what):
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def page(kept):
    lines = ["# Numbers", "",
             "What was measured, on which day, and with which command. `scripts/check quality` writes this page from the results of the",
             "last runs. A figure that was never measured is not here.", ""]

    def ran(what, command):
        at = f", at {what['commit']}" if what.get("commit") else ""
        return [f"Run on {what['day']}{at}. Repeat it with {command}.", ""]

    def missing(command):
        return [f"There is no run yet. {command} makes one.", ""]

    lines += ["## Tests", ""]
    if what := kept.get("tests"):
        lines += ran(what, "`.ci/run`, or most of it with `scripts/test`")
        lines += ["A test that several builds have counts once. It counts as skipped if all of them skip it.", ""]
        rows = sorted(what["programs"].items(), key=lambda each: -each[1])
        names = {"others": "scripts, examples, consumers, Node's traces"}
        lines += table(["program", "tests"], [[names.get(name, f"`{name}`"), f"{count:,}"] for name, count in rows] +
                       [["all", f"{what['total']:,}"]])
        lines += [f"{plural(what['skipped'], 'test')} skipped, {plural(what['failed'], 'test')} failed. `scripts/lib/skips.sh` has the bound of skips.",
                  ""]
    else:
        lines += missing("`scripts/test`")

    lines += ["## Injected failures", ""]
    if what := kept.get("faults"):
        lines += ran(what, "`build/dev/tests/faults_tests`")
        lines += ["Each operation is tried in as many ways as it makes system calls and allocations: the first one fails, then the second,",
                  "and so on, each system call with every error that its manual names. Afterwards the operation has completed once, and its",
                  "object works.", ""]
        lines += table(["what fails", "tries"], [["a system call", f"{what['system_calls']:,}"],
                                                 ["an allocation", f"{what['allocations']:,}"]])
    else:
        lines += missing("`build/dev/tests/faults_tests`")

    lines += ["## Fuzzing", ""]
    if what := kept.get("fuzz"):
        lines += ran(what, "`scripts/fuzz`, or `scripts/test asan -R fuzz_`")
        lines += ["Nothing was found in this run. Edges are those of the compiled program that some input reaches.", ""]
        lines += table(["target", "executions", "seconds", "edges"],
                       [[f"`{name}`", f"{each['executions']:,}", f"{each['seconds']:,}", f"{each['edges']:,}"]
                        for name, each in sorted(what["targets"].items())])
    else:
        lines += missing("`scripts/fuzz`")

    lines += ["## Coverage", ""]
    if what := kept.get("coverage"):
        lines += ran(what, "`scripts/check coverage`")
        lines += table(["of the headers", "covered", "share"],
                       [[name, f"{what[name][0]:,} of {what[name][1]:,}", share(what[name])] for name in ("lines", "branches")])
        lines += ["[uncovered.txt](../tests/coverage/uncovered.txt) has a reason for each block that no test runs through.", ""]
    else:
        lines += missing("`scripts/check coverage`")

    words = platforms()
    lines += ["## Platforms", "", "[platforms.md](platforms.md) has for each platform what was run or compiled there, and the command.", ""]
    lines += table(["how it was shown", "platforms"], [[word, count] for word, count in words.most_common()])

    found = benchmarks()
    total = len(found["met"]) + len(found["missed"])
    lines += ["## Benchmarks", "",
              f"Run on {last_change('docs/benchmarks/R1.svg')}. Repeat it with `scripts/bench`, on a quiet machine.", "",
              f"{len(found['met'])} of {total} bounds are met. [benchmarks.md](benchmarks.md) has every row.", ""]
    lines += table(["row", "result", "what was measured"],
                   [[row, result, text] for result in ("missed", "met") for row, text in found[result]])
    lines += [f"The instructions for each datagram were counted on {last_change('benchmarks/instructions.txt')}. `scripts/guard` counts them again, and fails if",
              "they have become more. They are in [instructions.txt](../benchmarks/instructions.txt).", ""]

    lines += ["## Checks", ""]
    for name, command in (("ci", ".ci/run"), ("check-all", "scripts/check-all")):
        if what := kept.get("legs", {}).get(name):
            lines += ran(what, f"`{command}`")
            lines += table(["leg", "minutes", "result"],
                           [[leg, f"{took // 60}:{took % 60:02}", how] for leg, took, how in what["legs"]])
        else:
            lines += [f"There is no run of `{command}` yet.", ""]
    return "\n".join(lines).rstrip() + "\n"


def main():
    kept = json.loads(read(KEPT)) if os.path.exists(KEPT) else {}
    for name, measure in (("tests", tests), ("faults", faults), ("fuzz", fuzz), ("coverage", coverage)):
        if new := measure():
            kept[name] = new
    for name in ("ci", "check-all"):
        if new := legs(name):
            kept.setdefault("legs", {})[name] = new
    with open(KEPT, "w", encoding="utf-8") as file:
        json.dump(kept, file, indent=1, sort_keys=True)
        file.write("\n")
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(page(kept))
    print(f"{PAGE} has {', '.join(sorted(kept)) or 'nothing that was measured'}")


if __name__ == "__main__":
    main()
