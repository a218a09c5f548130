"""YAML of metric sets, without silent losses and without surprises in size: what a few lines can blow up to is refused in words.

A field that is written twice is refused, `2013-01-01` stays a text, and an alias counts as often as it is used.
"""

from typing import Any

import yaml

from anomalake.domain.errors import UserError

MAX_CHARACTERS = 200_000
MAX_VALUES = 20_000  # fields, list elements and texts, those behind aliases counted where they are used
MAX_NUMBER_CHARACTERS = 40
_MAX_SHOWN = 300


def parse(text: str, where: str) -> Any:
    """The document of a YAML text; `UserError` begins with `where`."""
    if len(text) > MAX_CHARACTERS:
        raise UserError(f"{where}: is longer than {MAX_CHARACTERS:,} characters; a metric set is a page or two")
    try:
        return yaml.load(text, _Loader)
    except RecursionError as error:
        raise UserError(f"{where}: is not YAML: it is nested too deeply") from error
    except (
        yaml.YAMLError,
        ValueError,
        LookupError,
        TypeError,
        OverflowError,
    ) as error:  # the library raises KeyError of `!!bool x`
        raise UserError(f"{where}: is not YAML that can be read: {_shortened(str(error))}") from error


def _shortened(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _MAX_SHOWN else f"{line[: _MAX_SHOWN - 1]}…"


class _Loader(yaml.SafeLoader):
    """The library's safe loader, which counts what it composes."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.sizes: dict[int, int] = {}  # values in a node, by the node's identity; absent while it is composed

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
        alias = self.check_event(yaml.AliasEvent)
        node: yaml.Node | None = super().compose_node(parent, index)
        if node is None:
            return node
        if alias and id(node) not in self.sizes:
            raise yaml.YAMLError(f"an alias in line {line} stands inside of what it names")
        if not alias:
            self.sizes[id(node)] = 1 + sum(self.sizes[id(child)] for child in _children(node))
            _check_text(node, line)
        if self.sizes[id(node)] > MAX_VALUES or len(self.sizes) > MAX_VALUES:
            raise yaml.YAMLError(
                f"it holds more than {MAX_VALUES:,} values (line {line}), those behind aliases counted where they are used"
            )
        return node


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _check_text(node: yaml.Node, line: int) -> None:
    if isinstance(node, yaml.ScalarNode) and any("\ud800" <= c <= "\udfff" for c in node.value):
        raise yaml.YAMLError(f"a text in line {line} has half of a surrogate pair")


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set[Any]()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.YAMLError(f"the name of a field must be a text (line {key.start_mark.line + 1})")
        name = loader.construct_object(key)
        if name in seen:
            raise yaml.YAMLError(
                f"the field {_shortened(str(name))[:100]!r} stands twice (line {node.start_mark.line + 1} and after)"
            )
        seen.add(name)
    return loader.construct_mapping(node, deep=True)


def _number(loader: _Loader, node: yaml.ScalarNode) -> float:
    if len(node.value) > MAX_NUMBER_CHARACTERS:
        raise yaml.YAMLError(
            f"line {node.start_mark.line + 1}: a number of {len(node.value):,} characters; at most {MAX_NUMBER_CHARACTERS} are read"
        )
    whole = node.tag == "tag:yaml.org,2002:int"
    return loader.construct_yaml_int(node) if whole else loader.construct_yaml_float(node)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: node.value)
_Loader.add_constructor("tag:yaml.org,2002:int", _number)
_Loader.add_constructor("tag:yaml.org,2002:float", _number)
