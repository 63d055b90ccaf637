#!/usr/bin/env python3
"""Started by "scripts/check text". Reads prose, and says which lines break a rule.

    check-text.py phrases LIST FILE...    no phrase of LIST is in the Markdown, or in the comments, of the files
    check-text.py columns NUMBER FILE...  no line is longer than NUMBER characters
    check-text.py links FILE...           every relative link of the Markdown files leads to a file, and to a heading
    check-text.py tests FILE...           every `tests/FILE.cpp` that the Markdown files name exists, and has the test
                                          whose name follows in quotes

Each finding is one line, "file:line: what". The exit status is 1 if there is one.
"""
import os
import re
import sys

MARKDOWN = (".md",)
SLASHES = (".hpp", ".cpp")
CODE = re.compile(r"``.+?``|`[^`]*`")
MARK = "\x00"  # takes the place of code, so that no phrase reaches across it


def read_lines(path):
    with open(path, encoding="utf-8") as file:
        return file.read().split("\n")


def markdown_paragraphs(lines):
    """Lists of (line number, text); a table row, a heading and a list item each stand alone."""
    paragraph, fence = [], False
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("```"):
            fence = not fence
            line = ""
        if fence or line.startswith("    ") or line.startswith("<!--"):
            line = ""
        starts = re.match(r"\s*([-*#|>]|\d+\.)", line)
        if (not line.strip() or starts) and paragraph:
            yield paragraph
            paragraph = []
        if line.strip():
            for cell in line.split("|") if line.startswith("|") else [line]:
                if line.startswith("|"):
                    yield [(number, cell)]
                else:
                    paragraph.append((number, cell))
    if paragraph:
        yield paragraph


def comment_paragraphs(lines, mark):
    paragraph = []
    for number, line in enumerate(lines, 1):
        found = re.search(r"(^|\s)" + mark + r"+!?<?(.*)$", line)
        text = found.group(2) if found else ""
        if (not text.strip() or not re.match(r"\s*" + mark, line)) and paragraph:
            yield paragraph
            paragraph = []
        if text.strip():
            paragraph.append((number, text))
    if paragraph:
        yield paragraph


def paragraphs(path):
    lines = read_lines(path)
    if path.endswith(MARKDOWN):
        return markdown_paragraphs(lines)
    return comment_paragraphs(lines, "//" if path.endswith(SLASHES) else "#")


def read_phrases(path):
    phrases = []
    for number, line in enumerate(read_lines(path), 1):
        if not line or line.startswith("#"):
            continue
        expression, tab, hint = line.partition("\t")
        if not tab or not hint.strip():
            sys.exit(f"{path}:{number}: needs an expression, a tab and a hint")
        literal = re.sub(r"\\.", "", expression)
        flags = 0 if re.search("[A-Z]", literal) else re.IGNORECASE
        phrases.append((re.compile(expression, flags), hint.strip()))
    if not phrases:
        sys.exit(f"{path}: no phrases")
    return phrases


def check_phrases(phrase_list, files):
    phrases = read_phrases(phrase_list)
    for path in files:
        for paragraph in paragraphs(path):
            text, starts = "", []
            for number, part in paragraph:
                starts.append((len(text), number))
                text += part.strip() + " "
            text = CODE.sub(lambda code: MARK * len(code.group()), text).rstrip()
            for phrase, hint in phrases:
                for found in phrase.finditer(text):
                    number = [n for start, n in starts if start <= found.start()][-1]
                    words = found.group().strip().replace(MARK, "")
                    yield f'{path}:{number}: "{words[:50]}": {hint}'


def check_columns(limit, files):
    for path in files:
        for number, line in enumerate(read_lines(path), 1):
            if len(line) > limit:
                yield f"{path}:{number}: {len(line)} columns, at most {limit} are allowed"


def anchors(path):
    """The names that a heading gets on the pages of the usual hosts."""
    seen = set()
    fence = False
    for line in read_lines(path):
        if line.startswith("```"):
            fence = not fence
        heading = re.match(r"#+ (.*)$", line)
        if heading and not fence:
            text = re.sub(r"[^\w\- ]", "", heading.group(1).lower())
            name, number = text.strip().replace(" ", "-"), 1
            base = name
            while name in seen:
                name, number = f"{base}-{number}", number + 1
            seen.add(name)
    return seen


def check_links(files):
    for path in files:
        fence = False
        for number, line in enumerate(read_lines(path), 1):
            if line.lstrip().startswith("```"):
                fence = not fence
            if fence:
                continue
            for target in re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", line)):
                if re.match(r"[a-z]+:", target):
                    continue
                name, _, anchor = target.partition("#")
                file = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
                if not os.path.exists(file):
                    yield f"{path}:{number}: the link leads to {file}, which does not exist"
                elif anchor and file.endswith(MARKDOWN) and anchor not in anchors(file):
                    yield f"{path}:{number}: {file} has no heading for #{anchor}"


def check_tests(files):
    for path in files:
        for number, line in enumerate(read_lines(path), 1):
            for file, name in re.findall(r'`(tests/[\w./-]+\.\w+)`(?:: "([^"]+)")?', line):
                if not os.path.exists(file):
                    yield f"{path}:{number}: {file} does not exist"
                elif name and f'"{name}"' not in re.sub(r'"\s*\n\s*"', "", "\n".join(read_lines(file))):
                    yield f'{path}:{number}: {file} has no test "{name}"'


def main(arguments):
    if len(arguments) >= 2 and arguments[0] == "phrases":
        findings = check_phrases(arguments[1], arguments[2:])
    elif len(arguments) >= 2 and arguments[0] == "columns":
        findings = check_columns(int(arguments[1]), arguments[2:])
    elif len(arguments) >= 1 and arguments[0] == "links":
        findings = check_links(arguments[1:])
    elif len(arguments) >= 1 and arguments[0] == "tests":
        findings = check_tests(arguments[1:])
    else:
        sys.exit(__doc__)
    status = 0
    for finding in findings:
        print(finding)
        status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
