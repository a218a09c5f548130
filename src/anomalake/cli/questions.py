"""Asks on a terminal. Every question has a default; nothing is asked where input or output is no terminal."""

import sys
from collections.abc import Callable

from anomalake.cli.terminal import print_line
from anomalake.domain.errors import UserError


def can_ask() -> bool:
    """Return whether a person reads and answers: both standard input and standard output are terminals."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(question: str, default: str, check: Callable[[str], None]) -> str:
    """Return the answer, or the default for an empty answer or the end of input.

    `check` raises `UserError` for an answer that is not allowed; the question is then asked again with the reason.
    """
    while True:
        try:
            answer = input(f"{question} [{default}]: ").strip() or default
        except EOFError:
            return default
        try:
            check(answer)
        except UserError as error:
            print_line(f"  {error}")
        else:
            return answer


def ask_choice(question: str, choices: dict[str, str], default: str) -> str:
    """Return the chosen key of `choices`, which has a description of each; the user enters its number or its name."""
    names = list(choices)
    print_line(question)
    for number, (name, description) in enumerate(choices.items(), 1):
        print_line(f"  {number}  {name:<12} {description}".rstrip())

    def check(answer: str) -> None:
        if answer not in names and not (answer.isdigit() and 1 <= int(answer) <= len(names)):
            raise UserError(f"'{answer}' is none of them; enter a number from 1 to {len(names)}")

    answer = ask("Which one?", default, check)
    return answer if answer in names else names[int(answer) - 1]
