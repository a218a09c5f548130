"""Reads the YAML of metric sets strictly and within limits.

A field that occurs twice is an error, `2013-01-01` stays text, and an alias counts as often as it is used, so that a
few lines cannot expand to millions of values.
"""

from typing import Any

import yaml

from anomalake.domain.errors import UserError
from anomalake.domain.text import quote

MAX_CHARACTERS = 200_000
MAX_VALUES = 20_000  # fields, list elements and texts; the values of an alias count each time it is used
MAX_NUMBER_CHARACTERS = 40
_MAX_MESSAGE_CHARACTERS = 300


def parse(text: str, where: str) -> Any:
    """Return the document in a YAML text. Raises `UserError`, whose text begins with `where`."""
    if len(text) > MAX_CHARACTERS:
        raise UserError(f"{where}: is longer than {MAX_CHARACTERS:,} characters; a metric set has one or two pages")
    try:
        return yaml.load(text, _Loader)
    except RecursionError as error:
        raise UserError(f"{where}: is not valid YAML: it is nested too deeply") from error
    except (
        yaml.YAMLError,
        ValueError,
        LookupError,
        TypeError,
        OverflowError,
    ) as error:  # for example, the library raises KeyError for `!!bool x`
        raise UserError(f"{where}: is not valid YAML: {_shorten(str(error))}") from error


def _shorten(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _MAX_MESSAGE_CHARACTERS else f"{line[: _MAX_MESSAGE_CHARACTERS - 1]}…"


class _Loader(yaml.SafeLoader):
    """The library's safe loader, with a count of the values that it composes."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.sizes: dict[int, int] = {}  # the number of values in a node, by its id; added when the node is complete

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
        alias = self.check_event(yaml.AliasEvent)
        node: yaml.Node | None = super().compose_node(parent, index)
        if node is None:
            return node
        if alias and id(node) not in self.sizes:
            raise yaml.YAMLError(f"the alias in line {line} is inside the value that it refers to")
        if not alias:
            self.sizes[id(node)] = 1 + sum(self.sizes[id(child)] for child in _get_children(node))
            _check_text(node, line)
        if self.sizes[id(node)] > MAX_VALUES or len(self.sizes) > MAX_VALUES:
            raise yaml.YAMLError(
                f"it contains more than {MAX_VALUES:,} values (line {line}); "
                "the values of an alias count each time it is used"
            )
        return node


def _get_children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _check_text(node: yaml.Node, line: int) -> None:
    if isinstance(node, yaml.ScalarNode) and any("\ud800" <= c <= "\udfff" for c in node.value):
        raise yaml.YAMLError(f"the text in line {line} contains half of a surrogate pair")


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set[Any]()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.YAMLError(f"the name of a field must be a text (line {key.start_mark.line + 1})")
        name = loader.construct_object(key)
        if name in seen:
            shown, line = quote(_shorten(str(name))[:100]), node.start_mark.line + 1
            raise yaml.YAMLError(f"the field {shown} occurs twice (line {line} and after)")
        seen.add(name)
    return loader.construct_mapping(node, deep=True)


def _construct_number(loader: _Loader, node: yaml.ScalarNode) -> float:
    if len(node.value) > MAX_NUMBER_CHARACTERS:
        raise yaml.YAMLError(
            f"line {node.start_mark.line + 1}: a number has {len(node.value):,} characters; "
            f"the limit is {MAX_NUMBER_CHARACTERS}"
        )
    is_integer = node.tag == "tag:yaml.org,2002:int"
    return loader.construct_yaml_int(node) if is_integer else loader.construct_yaml_float(node)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: node.value)
_Loader.add_constructor("tag:yaml.org,2002:int", _construct_number)
_Loader.add_constructor("tag:yaml.org,2002:float", _construct_number)
