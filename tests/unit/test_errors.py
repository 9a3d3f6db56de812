"""Every fault has a known code and all that its sentence needs."""

import ast
import pickle
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

import trainer
from tests.conftest import ROOT
from trainer import errors
from trainer.errors import SENTENCES, QuartetError, SettingError

FAMILY = {
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, QuartetError)
}
SOURCES = sorted(Path(trainer.__file__).parent.rglob("*.py"))


def fields(code: str) -> dict[str, str]:
    """The facts that a code's sentence needs, and how each is written."""
    parsed = string.Formatter().parse(SENTENCES[code])
    return {name.split(".")[0]: spec or "" for _, name, spec, _ in parsed if name}


def calls(path: Path) -> Iterator[tuple[ast.Call, ast.AST]]:
    """Where a file builds one of our errors, and the function that does."""
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = getattr(node.func, "id", getattr(node.func, "attr", None))
            if called in FAMILY:
                around = [f for f in functions if node in ast.walk(f)]
                yield node, around[-1] if around else tree


def codes(argument: ast.expr, function: ast.AST) -> set[str]:
    """What an error's first argument may be: a string, or a name bound to some in the function."""
    if isinstance(argument, ast.Constant):
        return {str(argument.value)}
    if isinstance(argument, ast.IfExp):
        return codes(argument.body, function) | codes(argument.orelse, function)
    assert isinstance(argument, ast.Name), ast.unparse(argument)
    found: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == argument.id:
            found |= codes(node.value, function)
    assert found, f"{argument.id} is bound to no code that can be read from the source"
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_error_has_a_known_code_and_its_facts(path: Path) -> None:
    for call, function in calls(path):
        where = f"{path.name}:{call.lineno}"
        assert call.args, where
        given = {keyword.arg for keyword in call.keywords}
        for code in codes(call.args[0], function):
            assert code in SENTENCES, f"{where}: {code!r} has no sentence"
            missing = fields(code).keys() - given
            assert not missing, f"{where}: {code} lacks {missing}"


def test_every_sentence_has_a_user() -> None:
    folders = (ROOT / "trainer", ROOT / "demo")
    sources = [path for folder in folders for path in folder.rglob("*.py")]
    text = "".join(path.read_text() for path in sources if path.name != "errors.py")
    assert [code for code in SENTENCES if f'"{code}"' not in text] == []


@pytest.mark.parametrize("code", SENTENCES)
def test_every_code_is_one_sentence_of_its_facts(code: str) -> None:
    facts = {name: 3 if spec else "x" for name, spec in fields(code).items()}
    text = str(QuartetError(code, **facts))
    if SENTENCES[code].endswith(("{reason}", "{fault}")):
        text += "."  # which are sentences
    assert text.endswith(".")
    assert not re.search(r"[.!?)]\s+[A-Z]", text), text
    assert text == " ".join(text.split())


def test_error_keeps_its_code_between_processes() -> None:
    error = SettingError("setting_missing", setting="epochs", flag="--epochs", allowed="a number")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is SettingError
    assert (copy.code, copy.facts, str(copy)) == (error.code, error.facts, str(error))
