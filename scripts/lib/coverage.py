#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Reads what llvm-cov exports, of a build with -fcoverage-mapping.

    coverage.py trace EXPORT TRACE      writes the lines and branches of an export in the form that gcovr merges and reports
    coverage.py blocks LIST EXPORT...   compares what no export has run through with a list
    coverage.py print EXPORT...         prints what no export has run through, in the form of the list

A branch is a condition of the source, each way; one that the compiler knows the value of is none. An instantiation of a
template counts for the template. A block is the code from one place where the count becomes zero to the next one where
it is not. A line "== REASON" of the list is followed by lines "PATH: TEXT", to which the reason applies. TEXT is the
first line of the block, or the line that the block is in; a line with two blocks is in the list twice. A block that is not
in the list makes the check fail, and so does an entry of the list that is run through now. If a REASON begins with
"(in some runs)", its blocks may be run through or not.
"""
import bisect
import collections
import json
import re
import sys

ROOT = "include/"
CODELESS = re.compile(r"^[\s{}();,]*(else|do|try)?[\s{}();,]*$")


class Source:
    """One header in one export."""

    def __init__(self, path, lines, exported):
        self.path = path
        self.lines = lines
        # (line, column), count or None, whether a region begins here, and whether it is a gap
        self.segments = [((s[0], s[1]), s[2] if s[3] else None, s[4], s[5]) for s in exported["segments"]]
        self.starts = [segment[0] for segment in self.segments]
        # Each instantiation has its own record.
        self.branches = {}
        for branch in exported.get("branches", []):
            place = tuple(branch[:4])
            taken = self.branches.setdefault(place, [0, 0])
            taken[0] += branch[4]
            taken[1] += branch[5]

    def count_at(self, place):
        """How often the code at this place was run; None if there is none."""
        index = bisect.bisect_right(self.starts, place) - 1
        return self.segments[index][1] if index >= 0 else None

    def line_counts(self):
        """As llvm-cov counts lines: the greatest count of those that begin on the line, and of what the line begins in."""
        counts = {}
        index, wrapped = 0, None
        for number, text in enumerate(self.lines, 1):
            here = []
            while index < len(self.segments) and self.segments[index][0][0] == number:
                here.append(self.segments[index])
                index += 1
            begun = [count for _, count, entry, gap in here if entry and count is not None and not gap]
            skipped = bool(here) and here[0][2] and here[0][1] is None
            values = list(begun)
            if wrapped is not None and not skipped:
                values.append(wrapped)
            if values and has_code(text):
                counts[number] = max(values)
            if here:
                wrapped = here[-1][1]
        return counts

    def line_branches(self):
        """For each line, the conditions: a key, and how often each was true and false."""
        lines = collections.defaultdict(list)
        for place, taken in sorted(self.branches.items()):
            text = self.lines[place[0] - 1]
            known = taken == [0, 0] and (self.count_at(place[:2]) or "if constexpr" in text)
            if not known:
                lines[place[0]].append((place[1], taken))
        return lines

    def blocks(self):
        """Where the count becomes zero."""
        found, previous = [], 1
        for place, count, _, gap in self.segments:
            if count == 0 and gap:
                continue
            if count == 0 and previous != 0:
                found.append(place)
            previous = count
        return found


def has_code(text):
    text = text.split("//", 1)[0]
    return not CODELESS.match(text) and not text.lstrip().startswith("#")


def read(path):
    """The headers of an export."""
    with open(path, encoding="utf-8") as file:
        exported = json.load(file)
    sources = {}
    for data in exported["data"]:
        for each in data["files"]:
            name = each["filename"]
            at = name.rfind("/" + ROOT)
            if at < 0:
                continue
            with open(name, encoding="utf-8") as file:
                lines = file.read().splitlines()
            sources[name[at + 1:]] = Source(name[at + 1:], lines, each)
    return sources


def trace(export, output):
    files = []
    for path, source in sorted(read(export).items()):
        counts, branches = source.line_counts(), source.line_branches()
        lines = []
        for number, count in counts.items():
            ways = []
            for column, taken in branches.get(number, []):
                for way, times in enumerate(taken):
                    ways.append({"branchno": column * 2 + way, "count": times, "fallthrough": False, "throw": False})
            lines.append({"line_number": number, "count": count, "branches": ways})
        files.append({"file": path, "lines": lines, "functions": []})
    with open(output, "w", encoding="utf-8") as file:
        json.dump({"gcovr/format_version": "0.15", "files": files}, file)


def uncovered(exports):
    """(path, line, text) of each block that no export has run through."""
    read_exports = [read(export) for export in exports]
    found = []
    for path in sorted({path for sources in read_exports for path in sources}):
        sources = [each[path] for each in read_exports if path in each]
        places = set()
        for place in {place for source in sources for place in source.blocks()}:
            if all(not source.count_at(place) for source in sources):
                places.add(place)
        lines = sources[0].lines
        for line, column in sorted(places):
            # A block may begin with the brace at the end of a line.
            if lines[line - 1][column - 1:].strip() == "{":
                inside = line + 1
                while not has_code(lines[inside - 1]) and "}" not in lines[inside - 1]:
                    inside += 1
                line = inside if has_code(lines[inside - 1]) else line
            while not has_code(lines[line - 1]):  # of an empty function, what comes before it
                line -= 1
            found.append((path, line, lines[line - 1].strip()))
    return found


SOMETIMES = "(in some runs) "


def read_list(path):
    """How often the list has each (path, text), and which of these some runs reach."""
    entries, sometimes, reason = collections.Counter(), set(), None
    with open(path, encoding="utf-8") as file:
        for line in file:
            line = line.strip()
            if line.startswith("== "):
                reason = line[3:]
            elif line and not line.startswith("#"):
                if reason is None:
                    sys.exit(f"{path}: no reason above: {line}")
                entry = tuple(line.split(": ", 1))
                entries[entry] += 1
                if reason.startswith(SOMETIMES):
                    sometimes.add(entry)
    return entries, sometimes


def is_there(path, text):
    with open(path, encoding="utf-8") as file:
        return any(line.strip() == text for line in file)


def blocks(list_path, exports):
    left, sometimes = read_list(list_path)
    listed, unlisted = sum(left.values()), []
    for path, line, text in uncovered(exports):
        if left[path, text] > 0:
            left[path, text] -= 1
        else:
            unlisted.append((path, line, text))
    for path, line, text in unlisted:
        print(f"{path}:{line}: no test runs through this, and {list_path} has no reason for it: {text}")
    reached = list(left.elements())
    stale = [entry for entry in reached if entry not in sometimes or not is_there(*entry)]
    for path, text in stale:
        print(f"{list_path} has this, and a test runs through it, or it is gone: {path}: {text}")
    print(f"{listed - len(reached) + len(unlisted)} blocks are not run through; {listed - len(reached)} have a reason")
    sys.exit(1 if unlisted or stale else 0)


def main():
    match sys.argv[1:]:
        case ["trace", export, output]:
            trace(export, output)
        case ["blocks", list_path, *exports] if exports:
            blocks(list_path, exports)
        case ["print", *exports] if exports:
            for path, line, text in uncovered(exports):
                print(f"{path}: {text}")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
