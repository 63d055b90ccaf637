#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
# Prints a command for each source file of a build that is in one of the folders: the build's own, but it only checks the
# file, with the usual instantiations compiled in it.
#
#   compile-commands.py BUILD FOLDER/...
import json
import os
import shlex
import sys

build, folders = sys.argv[1], tuple(sys.argv[2:])
seen = set()
for entry in json.load(open(os.path.join(build, "compile_commands.json"), encoding="utf-8")):
    name = os.path.relpath(os.path.join(entry["directory"], entry["file"]))
    if name in seen or not name.startswith(folders):
        continue
    seen.add(name)
    words = shlex.split(entry["command"])
    place = words.index("-o")
    words[place : place + 2] = ["-fsyntax-only"]
    print(shlex.join(word for word in words if word != "-DDGRAM_COMPILED=1"))
