"""Writes the reference from the command line's parser, the registry of components, docstrings and
the schema of results. So no table of it is kept by hand.
"""

import argparse
import ast
import inspect
import re
import typing
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import growsearch
from growsearch.cli import documents
from growsearch.cli.parser import _parser
from growsearch.trial.components import EVERY_KIND, Component, components
from growsearch.trial.options import Option, Role
from growsearch.trial.own_options import trial_options
from growsearch.trial.trial_options import default_text

ROOT = Path(__file__).parent.parent


def write(folder: Path) -> None:
    """Writes the pages into `folder`. A page that has not changed keeps its time."""
    folder.mkdir(exist_ok=True)
    pages = {
        "commands": commands(), "components": component_index(), "python": python(),
        "files": files(), "json": json_documents(), "spaces": spaces(), "examples": examples(),
        **{f"components/{kind}": kind_page(kind) for kind in EVERY_KIND},
    }  # fmt: skip
    (folder / "components").mkdir(exist_ok=True)
    for name, lines in pages.items():
        path, text = folder / f"{name}.md", "\n".join(lines) + "\n"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    for old in folder.rglob("*.md"):
        if str(old.relative_to(folder).with_suffix("")) not in pages:
            old.unlink()


# Markdown


def prose(text: str) -> str:
    """A docstring as Markdown: its lines are text, but for code in backticks, indented lines and
    paragraphs that begin with >>>.
    """
    paragraphs = re.split(r"\n\n+", inspect.cleandoc(text))
    return "\n\n".join(
        f"```pycon\n{paragraph}\n```" if paragraph.startswith(">>>") else _paragraph(paragraph)
        for paragraph in paragraphs
    )


def _paragraph(text: str) -> str:
    return "\n".join(
        line if line.startswith("    ") else _escaped(line) for line in text.splitlines()
    )


def _escaped(line: str) -> str:
    parts = re.split(r"(`[^`]*`)", line)
    return "".join(
        part if part.startswith("`") else re.sub(r"([*<\[\]$])", r"\\\1", part) for part in parts
    )


def cell(text: object) -> str:
    """The text within a table."""
    return prose(" ".join(str(text).split())).replace("|", "\\|")


def code(text: object) -> str:
    """The text as code within a table or a line."""
    return f"`{text}`".replace("|", "\\|") if str(text) else ""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table, with an empty line before and after it. Columns without content are left out."""
    rows = list(rows)
    kept = [i for i in range(len(header)) if any(row[i] for row in rows)]
    lines = [header, ["---"] * len(header), *rows]
    return ["", *("| " + " | ".join(line[i] for i in kept) + " |" for line in lines), ""]


# commands

Actions = list[argparse.Action]


def commands() -> Iterator[str]:
    yield "# Commands"
    yield ""
    yield "`growsearch COMMAND --help` prints the same on the command line."
    parser = _parser()
    (found,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    helps = {action.dest: action.help or "" for action in found._choices_actions}
    train = {(a.dest, _bare(a.help)) for a in found.choices["train"]._actions}
    for name, command in found.choices.items():
        yield from ["", f"## growsearch {name}", "", _sentence(helps[name])]
        yield from _usage(command)
        actions = [g for g in command._action_groups if g._group_actions]
        shared = []
        for group in actions:
            listed = [a for a in group._group_actions if not isinstance(a, argparse._HelpAction)]
            subs = [a for a in listed if isinstance(a, argparse._SubParsersAction)]
            if subs:
                yield from _subcommands(name, subs[0])
            elif name != "train" and all((a.dest, _bare(a.help)) in train for a in listed):
                shared += listed
            elif listed:
                title = group.title or ""
                if title not in ("options", "positional arguments"):
                    yield from ["", f"### {title[0].upper()}{title[1:]} ({name})"]
                yield from _arguments(listed)
        if shared:
            yield from [
                "",
                "It also takes these options of [growsearch train](#growsearch-train): ",
            ]
            yield ", ".join(code(a.option_strings[0]) for a in shared if a.option_strings) + "."


def _bare(text: str | None) -> str:
    """A help text without the default, which only some commands show."""
    return (text or "").partition(" (default: ")[0]


def _sentence(text: str) -> str:
    end = "" if text.endswith("?") else "."
    return prose(text[0].upper() + text[1:]) + end


def _usage(command: argparse.ArgumentParser) -> list[str]:
    given = [a for a in command._actions if not a.option_strings and a.dest != "action"]
    names = [str(a.metavar or a.dest) + (" ..." if a.nargs == "+" else "") for a in given]
    optional = [f"[{n}]" if a.nargs == "?" else n for n, a in zip(names, given, strict=True)]
    return ["", "```sh", f"{' '.join([command.prog, *optional])} [options]", "```"]


def _subcommands(name: str, action: Any) -> Iterator[str]:
    helps = {a.dest: a.help or "" for a in action._choices_actions}
    for sub, parser in action.choices.items():
        yield from ["", f"### growsearch {name} {sub}", "", _sentence(helps[sub])]
        yield from _usage(parser)
        yield from _arguments([a for a in parser._actions if a.dest != "help"])


def _arguments(actions: Actions) -> list[str]:
    rows = []
    for action in actions:
        name = " ".join(action.option_strings) or str(action.metavar or action.dest)
        values = ""
        if action.option_strings and action.nargs != 0:
            choices = "|".join(map(str, action.choices or ()))
            named = action.type.__name__ if action.type else ""
            values = str(action.metavar or choices or named)
        many = " ..." if action.nargs == "+" and action.option_strings else ""
        text = (action.help or "").replace("%%", "%")
        shown = ", ".join(map(code, values.split("|"))) + many
        rows.append([code(name), cell(text), shown])
    return table(["argument", "what it does", "value"], rows)


# components


def component_index() -> Iterator[str]:
    yield "# Components"
    yield ""
    yield (
        "A trial and a search are put together from components. `growsearch list` prints the same "
        "on the command line. [Your own components](../how-to/own_component.md) have the same "
        "rights as these."
    )
    rows = [
        [f"[{kind}](components/{kind}.md)", cell(about.help), code(about.default or "")]
        for kind, about in EVERY_KIND.items()
    ]
    yield from table(["kind", "what it is", "default"], rows)
    yield from ["## Options that belong to no component", ""]
    yield "They are fields of `TrialConfig`, and options of `train` and `search`."
    yield from _options(trial_options().items())
    yield from ["## Roles", ""]
    yield (
        "The role of an option says from which epoch on the option changes what is trained, and "
        "how store keys hold it."
    )
    documented = _attribute_docs(Role)
    yield from table(
        ["role", "what it changes"], [[str(r), cell(documented[r.name])] for r in Role]
    )
    yield from ["```{toctree}", ":hidden:", "", *(f"components/{k}" for k in EVERY_KIND), "```"]


def kind_page(kind: str) -> Iterator[str]:
    about = EVERY_KIND[kind]
    yield f"# {kind}"
    yield from ["", _sentence(about.help)]
    if about.default:
        yield from ["", f"Default: `{about.default}`."]
    for name, cls in components(kind).items():
        yield from ["", f"## {name}", "", *_component(cls)]


def _component(cls: type[Component]) -> Iterator[str]:
    yield prose(cls.__doc__ or "")
    if cls.source:
        yield from ["", f"Source: {prose(cls.source)}."]
    yield from _options(cls.options().items())


def _options(rules: Iterable[tuple[str, Option]]) -> list[str]:
    rows = [
        [
            code(f"--{name.replace('_', '-')}"), cell(rule.help), _values(rule),
            cell(default_text(name, rule) or ""), str(rule.role),
        ]
        for name, rule in rules
    ]  # fmt: skip
    return table(["option", "what it is", "value", "default", "role"], rows) if rows else []


def _values(rule: Option) -> str:
    if rule.choices is not None:
        return ", ".join(map(code, rule.choices))
    kind = "epochs or shares" if rule.shares else {"str": "text"}.get(
        rule.kind.__name__, rule.kind.__name__
    )  # fmt: skip
    bounds = [
        f"{word} {bound:g}"
        for word, bound in (
            ("at least", rule.least), ("above", rule.above), ("at most", rule.most),
            ("below", rule.below),
        )
        if bound is not None
    ]  # fmt: skip
    many = ", one or more" if rule.many else ""
    return f"{kind}{many}{', ' if bounds else ''}{' and '.join(bounds)}"


# Python

_OTHERS = {
    "growsearch.tuning": ("GrowingTrial", "ParetoScheduler"),
    "growsearch.study.outcomes": ("audit", "Audit"),
}
"""Public names outside of the top package."""


def python() -> Iterator[str]:
    yield "# Python"
    yield from ["", prose(growsearch.__doc__ or "").partition("\n\nA name")[0]]
    modules = {"growsearch": tuple(growsearch.__all__), **_OTHERS}
    for module, names in modules.items():
        if module != "growsearch":
            yield from ["", f"## {module}"]
        for name in names:
            shown = name if module == "growsearch" else f"{module}.{name}"
            depth = "##" if module == "growsearch" else "###"
            yield from ["", f"{depth} {name}", ""]
            yield from _documented(shown, getattr(import_module(module), name))


def _documented(name: str, thing: Any) -> Iterator[str]:
    if isinstance(thing, type):
        yield from _class(name, thing)
    elif callable(thing):
        yield from _function(name, thing)
    else:  # a type alias
        yield prose(str(thing))


def _function(name: str, function: Any) -> Iterator[str]:
    yield from ["```python", f"{name}{_signature(function)}", "```", ""]
    yield prose(inspect.getdoc(function) or "")


def _signature(function: Any) -> str:
    """As the source says it: annotations are not evaluated."""
    node = ast.parse(inspect.cleandoc(f"\n{_source(function)}")).body[0]
    assert isinstance(node, ast.FunctionDef)
    arguments = _unquoted(ast.unparse(node.args))
    returns = f" -> {_unquoted(ast.unparse(node.returns))}" if node.returns else ""
    line = f"({arguments}){returns}"
    if len(line) < 80:
        return line
    return "(\n    " + _split(arguments) + f",\n){returns}"


def _unquoted(text: str) -> str:
    """Annotations without quotes; defaults keep theirs."""
    return re.sub(r"(?<=: )'([^']+)'|^'([^']+)'$", r"\1\2", text)


def _split(arguments: str) -> str:
    """One argument a line; commas within brackets stay."""
    parts, depth = [""], 0
    for letter in arguments:
        depth += (letter in "[({") - (letter in "])}")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return ",\n    ".join(part.strip() for part in parts)


def _source(thing: Any) -> str:
    return inspect.cleandoc("\n" + inspect.getsource(inspect.unwrap(thing)))


def _class(name: str, cls: type) -> Iterator[str]:
    own_init = next((c for c in cls.__mro__ if "__init__" in vars(c)), object)
    if (
        is_dataclass(cls)
        and (own_init is object or is_dataclass(own_init))
        and name != "TrialConfig"
    ):
        known = _attribute_docs(cls)
        own = [f for f in fields(cls) if f.init and f.metadata.get("option") is None]
        rows = [[code(f.name), cell(known.get(f.name, "")), code(_annotation(f.type))] for f in own]
        yield prose(inspect.getdoc(cls) or "")
        if rows:
            yield from table(["field", "what it is", "type"], rows)
    else:
        if own_init.__module__.startswith("growsearch") and not is_dataclass(own_init):
            yield from [
                "```python",
                f"{name}{_without_self(_signature(own_init.__init__))}",
                "```",
                "",
            ]
        yield prose(inspect.getdoc(cls) or "")
    constants = _constants(cls)
    if constants:
        yield from table(["class constant", "what it is"], constants)
    for method, function in _methods(cls):
        if isinstance(function, property) or type(function).__name__ == "cached_property":
            getter = getattr(function, "fget", None) or function.func
            text = inspect.getdoc(getter)
            yield from ["", f"`{name.rpartition('.')[2]}.{method}`", f": {_indented(text)}"]
        else:
            inner = getattr(function, "__func__", function)
            shown = f"{name.rpartition('.')[2]}.{method}{_without_self(_signature(inner))}"
            text = _indented(inspect.getdoc(inner))
            line = re.sub(r"\( | ,? ?\)|, \)", lambda m: m[0].strip(" ,"), " ".join(shown.split()))
            yield from ["", f"`{line}`", f": {text}"]


def _indented(text: str | None) -> str:
    return prose(text or "").replace("\n", "\n  ")


def _without_self(signature: str) -> str:
    return re.sub(r"^\((\s*)(self|cls)(,\s*(/,\s*)?)?", r"(\1", signature)


def _annotation(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _ours(cls: type) -> list[type]:
    """The class and its bases in growsearch, the nearest first; not the base of all components."""
    return [c for c in cls.__mro__ if c.__module__.startswith("growsearch") and c is not Component]


def _methods(cls: type) -> Iterator[tuple[str, Any]]:
    seen: set[str] = set()
    for base in _ours(cls):
        for name, value in vars(base).items():
            function = getattr(value, "__func__", value)
            described = inspect.isfunction(function) or isinstance(value, property)
            described |= type(value).__name__ == "cached_property"
            if name.startswith("_") or not described or name in seen or not value.__doc__:
                continue
            seen.add(name)
            yield name, value


def _constants(cls: type) -> list[list[str]]:
    found: dict[str, str] = {}
    for base in _ours(cls):
        documented = _attribute_docs(base)
        for name, annotation in inspect.get_annotations(base).items():
            if (
                str(annotation).startswith("typing.ClassVar")
                or typing.get_origin(annotation) is typing.ClassVar
            ):
                found.setdefault(name, documented.get(name, ""))
    return [[code(name), cell(text)] for name, text in found.items() if text]


def _attribute_docs(cls: type) -> dict[str, str]:
    """The strings that follow attributes in a class."""
    documented: dict[str, str] = {}
    for base in _ours(cls):
        (tree,) = ast.parse(_source(base)).body
        assert isinstance(tree, ast.ClassDef)
        for node, after in zip(tree.body, tree.body[1:], strict=False):
            target = getattr(node, "target", None) or (getattr(node, "targets", None) or [None])[0]
            is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if isinstance(target, ast.Name) and is_text and isinstance(after.value.value, str):
                documented.setdefault(target.id, after.value.value)
    return documented


# files


def files() -> Iterator[str]:
    from growsearch.epochs import store
    from growsearch.study import folder, model_file, results
    from growsearch.study.ended import ENDED_FILE
    from growsearch.study.network_spec import NetworkSpec
    from growsearch.study.schema import schema

    yield "# Files"
    yield from ["", "## A study", "", prose(results.__doc__ or "")]
    places = [
        (folder.STUDY_FILE, "what was searched, by which settings, versions and hardware: JSON"),
        (f"{folder.TRIALS_FOLDER}/TRIAL.parquet", "the epochs of a trial, one row each"),
        (f"{folder.NETWORKS_FOLDER}/", "the networks of each trial's best and last epoch"),
        (f"{folder.STORE_FOLDER}/", "the epoch store, unless `--store` named another"),
        ("plugins/", "copies of the plugins that the study's trials need"),
        ("report.html", "what `growsearch report` wrote; also `front.csv` and `front.png`"),
        (
            ENDED_FILE,
            "the tables of all ended trials in one, which is read instead of them as long as they "
            "have the sizes and times of change that it says",
        ),
        (folder.STATE_FILE, "the training state of `growsearch train`"),
        (f"{folder.STATES_FOLDER}/", "the states that `--save-every` kept"),
    ]
    yield from table(["file or folder", "content"], [[code(n), t] for n, t in places])
    yield from ["### Columns of a trial's file", ""]
    yield (
        "The schema's metadata have unit and description of each column. A `config/` column is "
        "empty where the trial does not use the option."
    )
    rows = [
        [code(f.name), cell(f.metadata[b"description"].decode()), cell(f.type),
         cell(f.metadata[b"unit"].decode())]
        for f in schema()
    ]  # fmt: skip
    yield from table(["column", "what it is", "type", "unit"], rows)
    yield from ["## An epoch store", "", prose(store.__doc__ or "")]
    yield from ["", "## An exported network", "", prose(model_file.__doc__ or "")]
    known = _attribute_docs(NetworkSpec)
    yield from table(
        ["key of the JSON", "type", "content"],
        [
            [code("format"), code("int"), "1"],
            *(
                [code(f.name), code(f.type), cell(known.get(f.name, ""))]
                for f in fields(NetworkSpec)
            ),
            [code("constants"), code("dict[str, float]"), cell(model_file.constants.__doc__)],
        ],
    )
    yield (
        "Further keys hold the recorded accuracies, the trial, and the versions of what wrote the "
        "file."
    )


# JSON


def json_documents() -> Iterator[str]:
    yield "# JSON"
    yield ""
    yield (
        "Every command takes `--json`. "
        + prose(documents.__doc__ or "").partition("\n\n")[2].replace("\n", " ")
    )
    for cls in documents.DOCUMENTS:
        title, _, rest = prose(cls.__doc__ or "").rstrip(".").partition(":")
        known = _attribute_docs(cls)
        yield from ["", f"## {title}", "", f"{_sentence(rest.strip())}" if rest else ""]
        rows = [
            [code(f.name), cell(known.get(f.name, "")), code(_annotation(f.type))]
            for f in fields(cls)
        ]
        yield from table(["key", "what it is", "type"], rows)


# search spaces and examples


def spaces() -> Iterator[str]:
    yield "# Search spaces"
    yield ""
    yield (
        "`growsearch search NAME` runs one of these. Each is a short Python file, which is a start "
        "for your own."
    )
    for path in sorted((ROOT / "search_spaces").glob("*.py")):
        yield from ["", f"## {path.stem}", "", *_file(path)]


def examples() -> Iterator[str]:
    yield "# Examples"
    yield ""
    yield "Programs and components of one's own, all of which the tests run."
    for path in sorted((ROOT / "examples").glob("*.py")):
        yield from ["", f"## {path.name}", "", *_file(path)]


def _file(path: Path) -> list[str]:
    text = path.read_text()
    about = prose(ast.get_docstring(ast.parse(text)) or "")
    about = re.sub(r"(?m)^((?:python|growsearch) .*)$", r"`\1`", about)
    rest = text[text.index('"""', 3) + 3 :].strip() if text.startswith('"""') else text.strip()
    return [about, "", "```python", rest, "```"]


if __name__ == "__main__":
    write(Path(__file__).parent / "reference")
