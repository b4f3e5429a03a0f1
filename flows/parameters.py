"""The parameters that flows share, each with its limits and its description in the form of Prefect's pages.

Descriptions go into the JSON schema directly: Prefect replaces `Field(description=..)` by the docstring's text.
"""

from typing import Annotated, Any

from pydantic import Field


def described(text: str, **limits: Any) -> Any:
    """What a form shows for a parameter, and the limits of its values."""
    return Field(json_schema_extra={"description": text}, **limits)


Commit = Annotated[
    str,
    described(
        "Commit, branch or tag of this repository to run; changes that are not committed are not seen.", min_length=1
    ),
]
Overrides = Annotated[
    dict[str, Any] | None,
    described('Values for params.yaml by dotted keys, such as {"distill.stages.k8.learning_rate": 0.0001}.'),
]
Retries = Annotated[
    int, described("How often a failed stage is tried again; a mistake in the params is not.", ge=0, le=10)
]
AtOnce = Annotated[
    int,
    described(
        "How many stages go at the same time, such as an evaluation beside the next distillation. More than 1 if "
        "each has a GPU of its own: on the same cores two slow each other down more than they save.",
        ge=1,
        le=64,
    ),
]
