"""What Python makes of texts: reads requests as JSON on standard input, writes the answers as JSON.

{"files":    [[text, ...], ...],        each list is read in order by one parser
 "numbers":  [text, ...],
 "patterns": [[pattern, name], ...]}
"""

import configparser
import io
import json
import math
import re
import sys
import warnings


def parse(texts):
    parser = configparser.ConfigParser(interpolation=configparser.ExtendedInterpolation())
    try:
        for index, text in enumerate(texts):
            data = io.BytesIO(text.encode("utf-8"))
            parser.read_file(io.TextIOWrapper(data, encoding="utf-8"), source=str(index))
    except configparser.MissingSectionHeaderError as error:
        return {"error": "NoSection", "lines": [error.lineno], "file": index}
    except configparser.DuplicateSectionError as error:
        return {"error": "DuplicateSection", "lines": [error.lineno], "file": index}
    except configparser.DuplicateOptionError as error:
        kind = "DuplicateOption" if error.option else "NotAnOption"
        return {"error": kind, "lines": [error.lineno], "file": index, "fatal": True}
    except configparser.ParsingError as error:
        return {"error": "NotAnOption", "lines": [line for line, _ in error.errors], "file": index}
    sections = []
    for section in ["DEFAULT"] + parser.sections():
        options = []
        for option, raw in parser.items(section, raw=True):
            try:
                value = parser.get(section, option)
                options.append([option, raw, value, None])
            except configparser.InterpolationError as error:
                options.append([option, raw, None, type(error).__name__])
        sections.append([section, options])
    return {"sections": sections}


def number(text):
    answer = {"int": None, "float": None, "bool": None}
    try:
        answer["int"] = str(int(text))
    except ValueError:
        pass
    try:
        value = float(text)
        answer["float"] = repr(value) if math.isfinite(value) else None
    except ValueError:
        pass
    answer["bool"] = configparser.ConfigParser.BOOLEAN_STATES.get(text.lower())
    return answer


def search(pattern, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return re.search(pattern, name) is not None
        except re.error:
            return None


request = json.load(sys.stdin)
answers = {
    "files": [parse(texts) for texts in request["files"]],
    "numbers": [number(text) for text in request["numbers"]],
    "patterns": [search(pattern, name) for pattern, name in request["patterns"]],
}
json.dump(answers, sys.stdout)
