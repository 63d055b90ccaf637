#!/usr/bin/env python3
"""Started by "scripts/check reformat". Breaks the lines of comments that are too long.

    wrap-comments.py NUMBER FILE...   comments of C++ files get lines of at most NUMBER characters

Only a paragraph or list item with a line that is too long is filled anew. Code between \\code and \\endcode, tables and
comments behind code are left alone, and so are words that are too long by themselves.
"""
import re
import sys
import textwrap

LINE = re.compile(r"^(\s*)(///?!?)(?: (.*)|)$")
ITEM = re.compile(r"^(\s*(?:[-*]|\d+\.)\s+)\S")
# "Errors: ..." and the like begin a paragraph, as the documentation of an operation has them.
TITLE = re.compile(r"^\s*(\*\*)?[A-Z][a-z]+( [a-z]+)?(\*\*)?: ")
SPACE = "\x00"  # stands in code for a space, where no line may end


def fill(lines, prefix, hanging, limit):
    text = " ".join(line.strip() for line in lines)
    text = re.sub(r"`[^`]*`", lambda code: code.group().replace(" ", SPACE), text)
    first = " " * (len(lines[0]) - len(lines[0].lstrip()))
    wrapped = textwrap.wrap(text, limit - len(prefix), initial_indent=first, subsequent_indent=hanging,
                            break_long_words=False, break_on_hyphens=False)
    return [prefix + line.replace(SPACE, " ") for line in wrapped]


def wrap_block(texts, indent, mark, limit):
    """The texts of consecutive comment lines with the same indent and mark."""
    prefix = f"{indent}{mark} "
    result, paragraph, hanging, verbatim = [], [], "", False

    def flush():
        nonlocal paragraph
        if any(len(prefix + line) > limit for line in paragraph):
            result.extend(fill(paragraph, prefix, hanging, limit))
        else:
            result.extend(prefix + line for line in paragraph)
        paragraph = []

    for text in texts:
        if text.lstrip().startswith("\\code"):
            verbatim = True
        alone = verbatim or not text.strip() or re.match(r"\s*([\\|#]|SPDX-)", text)
        if text.lstrip().startswith("\\endcode"):
            verbatim = False
        if alone:
            flush()
            result.append((prefix + text).rstrip())
            continue
        leading = " " * (len(text) - len(text.lstrip()))
        item = ITEM.match(text)
        titled = TITLE.match(text) and paragraph and paragraph[-1].endswith((".", ":"))
        if item or titled or not paragraph or leading != hanging:
            flush()
            hanging = " " * len(item.group(1)) if item else leading
        paragraph.append(text)
    flush()
    return result


def wrap(lines, limit):
    result, block, key = [], [], None
    for line in [*lines, None]:
        found = LINE.match(line) if line is not None else None
        here = (found.group(1), found.group(2)) if found else None
        if here != key and block:
            result.extend(wrap_block(block, *key, limit))
            block = []
        key = here
        if found:
            block.append(found.group(3) or "")
        elif line is not None:
            result.append(line)
    return result


def main(arguments):
    if len(arguments) < 1 or not arguments[0].isdigit():
        sys.exit(__doc__)
    for path in arguments[1:]:
        with open(path, encoding="utf-8") as file:
            before = file.read()
        after = "\n".join(wrap(before.split("\n"), int(arguments[0])))
        if after != before:
            with open(path, "w", encoding="utf-8") as file:
                file.write(after)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
