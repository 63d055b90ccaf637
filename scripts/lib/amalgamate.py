"""Does the work of scripts/amalgamate, which says what the arguments are."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
INCLUDE = ROOT / "include"

DIRECTIVE = re.compile(r"^\s*#\s*(\w+)")
OWN_INCLUDE = re.compile(r"^\s*#\s*include\s*[<\"](dgram(?:/[\w/.-]+)?\.hpp)[>\"]")
GUARD = re.compile(r"^\s*#\s*ifndef\s+DGRAM_\w*HPP\s*$")


def expand(name, done, out):
    """Appends a header to `out`, and what it includes of ours in place of the directives.

    Each header has a guard, which stays. `done` has the headers that are surely there: an include inside of a
    conditional may not be compiled, so what it brings counts inside of that conditional alone.
    """
    done.add(name)
    out.append(f"// ---- {name}")
    lines = (INCLUDE / name).read_text(encoding="utf-8").splitlines()
    conditions = []  # for each open conditional what was done in its present branch
    guarded = False
    for line in lines:
        if line.startswith("// SPDX-License-Identifier:"):
            continue
        include = OWN_INCLUDE.match(line)
        if include:
            here = conditions[-1] if conditions else done
            if include[1] not in here:
                expand(include[1], here, out)
            continue
        out.append(line)
        directive = DIRECTIVE.match(line)
        if not directive:
            continue
        word = directive[1]
        if word == "ifndef" and not guarded and GUARD.match(line):
            guarded = True
            conditions.append(done)  # the guard is no condition: the header is there, now or before
        elif word in ("if", "ifdef", "ifndef"):
            conditions.append(set(conditions[-1] if conditions else done))
        elif word in ("elif", "elifdef", "elifndef", "else"):
            conditions[-1] = set(conditions[-2] if len(conditions) > 1 else done)
        elif word == "endif":
            conditions.pop()
    if conditions or not guarded:
        sys.exit(f"scripts/amalgamate: {name} has no include guard DGRAM_..._HPP, or an #if without its #endif")


def version():
    text = (INCLUDE / "dgram/version.hpp").read_text(encoding="utf-8")
    return ".".join(re.search(rf"define\s+DGRAM_VERSION_{part}\s+(\d+)", text)[1] for part in ("MAJOR", "MINOR", "PATCH"))


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lines) + "\n"
    # What has not changed keeps its time, so that a build does not start anew.
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def single_header():
    out = [
        f"// dgram {version()}, as one header. Made by scripts/amalgamate; the sources are separate headers.",
        "//",
        "// Define DGRAM_SINGLE_WITH_FMT before it for what <dgram/format.hpp> has (needs fmt), DGRAM_SINGLE_WITH_SIM for",
        "// what <dgram/sim.hpp> has, DGRAM_SINGLE_COMPILED for what <dgram/compiled.hpp> has. Standalone Asio 1.22.1 or",
        "// newer must be on the include path; compile with -std=c++20 -pthread -DASIO_STANDALONE.",
        "//",
        "// SPDX-License-Identifier: BSL-1.0",
        "//",
    ]
    for line in (ROOT / "LICENSE").read_text(encoding="utf-8").splitlines():
        out.append(f"// {line}".rstrip())
    out.append("")
    done = set()
    expand("dgram.hpp", done, out)
    out.append("\n#if defined(DGRAM_SINGLE_WITH_FMT)")
    expand("dgram/format.hpp", set(done), out)
    out.append("#endif\n\n#if defined(DGRAM_SINGLE_WITH_SIM)")
    expand("dgram/sim.hpp", set(done), out)
    out.append("#endif\n\n#if defined(DGRAM_SINGLE_COMPILED)")
    expand("dgram/compiled.hpp", set(done), out)
    out.append("#endif")
    return out


def main():
    arguments = sys.argv[1:]
    if len(arguments) == 2 and arguments[0] == "--forward":
        directory = pathlib.Path(arguments[1])
        for header in [INCLUDE / "dgram.hpp", *(INCLUDE / "dgram").glob("*.hpp")]:
            lines = ["#include <dgram-single.hpp>"]
            if header.name == "format.hpp":
                lines = ["#define DGRAM_SINGLE_WITH_FMT"] + lines
            if header.name.startswith("sim"):
                lines = ["#define DGRAM_SINGLE_WITH_SIM"] + lines
            if header.name == "compiled.hpp":
                lines = ["#define DGRAM_SINGLE_COMPILED"] + lines
            write(directory / header.relative_to(INCLUDE), lines)
        target = directory / "dgram-single.hpp"
    elif len(arguments) < 2 and not any(argument.startswith("-") for argument in arguments):
        target = pathlib.Path(arguments[0]) if arguments else ROOT / "build/dgram-single.hpp"
    else:
        sys.exit(f"error: scripts/amalgamate takes no '{' '.join(arguments)}'; see scripts/amalgamate --help")
    lines = single_header()
    write(target, lines)
    print(f"{target}: {len(lines)} lines")
    return 0


sys.exit(main())
