"""An AWS with prepared responses. It validates every call and every response against the service models of botocore."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import botocore.session
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

_MODELS = botocore.session.get_session()

Answers = dict[str, Any]  # "service.operation" -> its response, an exception, or a function of the parameters


@dataclass
class Aws:
    """Clients that return prepared responses, and record their calls."""

    answers: Answers
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)  # region, operation, parameters

    def __call__(self, service: str, region: str) -> Any:
        return Client(self, service, region)


@dataclass
class Client:
    """One service in one region."""

    aws: Aws
    service: str
    region: str

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        name, shapes = _operation(self.service, operation)

        def call(**parameters: Any) -> Any:
            report = ParamValidator().validate(parameters, shapes.input_shape)
            assert not report.has_errors(), report.generate_report()
            self.aws.asked.append((self.region, operation, parameters))
            answer = self.aws.answers[f"{self.service}.{operation}"]
            if callable(answer):
                answer = answer(region=self.region, **parameters)
            if isinstance(answer, str):  # the code of an error, and its message
                code, _, message = answer.partition(": ")
                raise ClientError({"Error": {"Code": code, "Message": message}}, name)
            if isinstance(answer, Exception):
                raise answer
            _is_of(shapes.output_shape, answer, name)
            return answer

        return call


@cache
def _operation(service: str, operation: str) -> tuple[str, Any]:
    """Return the name of an operation in the service model, and its shapes. An unknown operation fails."""
    model = _MODELS.get_service_model(service)
    (name,) = [name for name in model.operation_names if botocore.xform_name(name) == operation]
    return name, model.operation_model(name)


def _is_of(shape: Any, answer: Any, where: str) -> None:
    """Check that a response contains only what the service model knows."""
    if shape.type_name == "structure":
        for name, value in answer.items():
            assert name in shape.members, f"{where} never answers {name}"
            _is_of(shape.members[name], value, f"{where}.{name}")
    elif shape.type_name == "list":
        for value in answer:
            _is_of(shape.member, value, where)
    elif getattr(shape, "enum", None):
        assert answer in shape.enum, f"{where} is never {answer}"
