#!/usr/bin/env python3
"""Started by scripts/docs. Lays out the pages of the site.

    collect-pages.py DIRECTORY

The Markdown files keep their places, so their links to each other hold; README.md becomes the first page. A link to any
other file or folder of the project leads to a page with its text, or with the names of its files.
"""
import os
import re
import shutil
import subprocess
import sys

LINK = re.compile(r"(?<!!)\[((?:[^\[\]`]|`[^`]*`)*)\]\(([^)\s]+)\)")
LANGUAGES = {".cpp": "cpp", ".hpp": "cpp", ".js": "js", ".sh": "bash", ".py": "python", ".cmake": "cmake", ".yml": "yaml"}


def shown(path):
    """The page that shows this file or folder of the project."""
    return ("files/" + path.strip("/") if path.strip("/") else "files/index") + ".md"


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


class collector:
    def __init__(self, target):
        self.target = target
        self.files = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], check=True,
                                    capture_output=True, text=True).stdout.split()
        self.done = set()

    def page(self, source, place):
        """Writes a Markdown file of the project at its place on the site."""
        with open(source, encoding="utf-8") as file:
            text = file.read()
        fenced = False
        lines = []
        for line in text.split("\n"):
            if line.lstrip().startswith("```"):
                fenced = not fenced
            lines.append(line if fenced else LINK.sub(lambda found: self.link(found, source, place), line))
        write(os.path.join(self.target, place), "\n".join(lines))

    def link(self, found, source, place):
        text, target = found.groups()
        if re.match(r"[a-z]+:|#", target):
            return found.group(0)
        path, mark, anchor = target.partition("#")
        path = os.path.normpath(os.path.join(os.path.dirname(source), path))
        if path == "README.md":
            page = "index.md"
        elif path.endswith(".md"):
            page = path
        elif path == "include/dgram":
            page = "reference/annotated.html"
        elif re.fullmatch(r"include/dgram/\w+\.hpp", path):
            page = f"reference/{os.path.basename(path).replace('_', '__').replace('.', '_8')}.html"  # as Doxygen names it
        elif os.path.splitext(path)[1] in (".svg", ".png"):
            page = path
        else:
            page = shown(path)
            self.show(path)
        return f"[{text}]({os.path.relpath(page, os.path.dirname(place) or '.')}{mark}{anchor})"

    def show(self, path):
        if path in self.done:
            return
        self.done.add(path)
        place = shown(path)
        here = os.path.dirname(place)
        if os.path.isdir(path):
            names = sorted({file[len(path) + 1:].split("/")[0] for file in self.files if file.startswith(path + "/")})
            rows = []
            for name in names:
                inner = os.path.join(path, name)
                self.show(inner)
                rows.append(f"- [{name}]({os.path.relpath(shown(inner), here)})")
            write(os.path.join(self.target, place), f"# {path}\n\n" + "\n".join(rows) + "\n")
            return
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except FileNotFoundError:
            sys.exit(f"a page has a link to {path}, which does not exist")
        fence = "```"
        while fence in text:
            fence += "`"
        language = LANGUAGES.get(os.path.splitext(path)[1], "text")
        write(os.path.join(self.target, place), f"# {path}\n\n{fence}{language}\n{text.rstrip()}\n{fence}\n")


def main():
    target = sys.argv[1]
    shutil.rmtree(target, ignore_errors=True)
    collect = collector(target)
    pages = [file for file in collect.files
             if file.endswith(".md") and (file.startswith(("docs/", "examples/")) or "/" not in file)]
    for source in pages:
        collect.page(source, "index.md" if source == "README.md" else source)
    for other in collect.files:
        if other.startswith("docs/") and other.endswith((".svg", ".png", ".css")):
            place = os.path.join(target, other)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            shutil.copy(other, place)


main()
