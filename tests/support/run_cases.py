#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Runs each test case in a process of its own, and compares the failures with a list.

    run_cases.py [--patience SECONDS] [--begin-again] [--emulator PROGRAM] [--system NAME] LIST DIRECTORY SUITE...

The suites are programs of Catch2 in the directory: "unit" is unit_tests. The list says what the system under the tests
cannot do. A line "== REASON" is followed by lines "SUITE: NAME OF THE CASE", to which the reason applies. A reason that
begins with "(NAME)" applies to the system of that name only. A case that fails or hangs without being in the list makes
the run fail.
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import time

PATIENCE_IF_LISTED = 5  # seconds
SKIPPED = 4  # what Catch2 returns if all cases were skipped


def read_list(path, system):
    reasons, reason, applies = {}, None, True
    with open(path, encoding="utf-8") as file:
        for line in file:
            line = line.strip()
            if line.startswith("== "):
                reason = line[3:]
                only = re.match(r"\((\S+)\) ", reason)
                applies = only is None or only[1] == system
            elif line and not line.startswith("#"):
                if reason is None:
                    sys.exit(f"{path}: no reason above: {line}")
                if applies:
                    reasons[line] = reason
    return reasons


def cases_of(program):
    listed = subprocess.run([*program, "--list-tests", "--verbosity", "quiet"], capture_output=True, text=True,
                            timeout=120, check=False)
    if listed.returncode != 0:
        sys.exit(f"{program[-1]} does not start: {listed.stderr}")
    return [line for line in listed.stdout.splitlines() if line.strip()]


def run(program, name, patience, tries):
    """Returns None if the case passed, SKIPPED, or what went wrong."""
    pattern = re.sub(r'([\\,\[\]"*])', r"\\\1", name)
    try:
        done = subprocess.run([*program, pattern], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=patience,
                              check=False)
    except subprocess.TimeoutExpired:
        done = None
    if tries > 1 and (done is None or (done.returncode not in (0, SKIPPED) and not done.stdout.strip())):
        why = "hung" if done is None else f"printed nothing and returned {done.returncode}"
        print(f"{why}, and is run once more: {name}", flush=True)
        return run(program, name, patience, tries - 1)
    if done is None:
        return f"no end after {patience} s"
    if done.returncode == 0:
        return None
    if done.returncode == SKIPPED:
        return SKIPPED
    return done.stdout.decode(errors="replace")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--patience", type=int, default=40, help="seconds for one case")
    parser.add_argument("--begin-again", action="store_true",
                        help="run a case once more that hangs, or fails and prints nothing; it is named in the output")
    parser.add_argument("--emulator", help="runs the programs, such as qemu-arm")
    parser.add_argument("--system", help="of the reasons for one system only, those for this one apply")
    parser.add_argument("list")
    parser.add_argument("directory")
    parser.add_argument("suites", nargs="+")
    asked = parser.parse_args()
    list_path, suites = asked.list, asked.suites
    reasons = read_list(list_path, asked.system)
    known = set()
    work = []
    for suite in suites:
        program = [os.path.join(asked.directory, f"{suite}_tests")]
        if os.path.exists(f"{program[0]}.exe"):
            program[0] += ".exe"
        if asked.emulator:
            program.insert(0, asked.emulator)
        for name in cases_of(program):
            title = f"{suite}: {name}"
            known.add(title)
            patience = min(PATIENCE_IF_LISTED, asked.patience) if title in reasons else asked.patience
            tries = 2 if asked.begin_again and title not in reasons else 1
            work.append((title, program, name, patience, tries))
    if not work:
        sys.exit("no test cases were found")
    start = time.monotonic()
    unexpected, expected, skipped, mended = [], 0, 0, []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        outcomes = pool.map(lambda each: run(*each[1:]), work)
        for (title, *_), wrong in zip(work, outcomes):
            if wrong in (None, SKIPPED):
                skipped += wrong == SKIPPED
                if title in reasons:
                    mended.append(title)
            elif title in reasons:
                expected += 1
            else:
                unexpected.append(title)
                print(f"\n--- failed: {title}\n{wrong[-3000:]}", flush=True)
    for title in mended:
        print(f"passes, and is in {list_path}: {title}")
    gone = [title for title in reasons if title not in known and title.split(":")[0] in suites]
    for title in gone:
        print(f"no such case any more, and is in {list_path}: {title}")
    print(f"{len(work)} cases in {time.monotonic() - start:.0f} s: {skipped} are skipped, {expected} fail as the list "
          f"says, {len(unexpected)} fail beside it")
    for title in unexpected:
        print(f"  {title}")
    sys.exit(1 if unexpected or gone else 0)


if __name__ == "__main__":
    main()
