"""How drf-spectacular sees our views: it reads ``described`` and guesses nothing."""

from collections.abc import Iterator
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from cnaasjobs.api.columns import Column
from cnaasjobs.api.description import ERRORS, JSON, TEXT, Described, Parameter, reference

_PAGES = (
    Parameter(
        name="per_page",
        description="Rows of a page.",
        schema={"type": "integer", "minimum": 1, "maximum": 1000, "default": 50},
    ),
    Parameter(name="page", description="From 1.", schema={"type": "integer", "default": 1}),
)
_HEADERS = {"X-Total-Count": "The number of matches.", "Link": "The first, previous, next and last page."}


class DescribedSchema(AutoSchema):
    """Named in the settings as DRF's DEFAULT_SCHEMA_CLASS."""

    @property
    def _described(self) -> Described:
        view: Any = self.view
        described: Described = view.described[view.action]
        return described

    def is_excluded(self) -> bool:
        return False

    def get_operation_id(self) -> str:
        words = self._words().replace("{", "").replace("}", "").replace("/", "_")
        return f"{self.method.lower()}_{words}"

    def _words(self) -> str:
        return str(self.path).removeprefix("/api/v1.0").removeprefix("/")

    def get_summary(self) -> str:
        return self._described.summary

    def get_description(self) -> str:  # type: ignore[override]  # the base's stubs say what DRF's takes
        view: Any = self.view
        permission = view.permissions_required.get(self.method)
        names = (permission,) if isinstance(permission, str) else permission or ()
        return f"Permission: {' or '.join(f'`{name}`' for name in names)}" if names else ""

    def get_tags(self) -> list[str]:
        first: str = self._words().partition("/")[0].partition("_")[0]
        return [{"job": "jobs", "device": "devices", "joblocks": "locks"}.get(first, first)]

    def get_auth(self) -> list[dict[str, list[str]]]:
        return [] if self._described.public else [{self._described.scheme: []}]

    def _get_request_body(self, direction: Any = "request") -> Any:
        """The library's own would take a schema for a mapping of media types, and gives a DELETE no body."""
        body = self._described.body
        return {"content": {JSON: {"schema": dict(body)}}, "required": True} if body else None

    def get_response_serializers(self) -> Any:
        described = self._described
        answers: dict[Any, Any] = {}
        for media in described.media:
            schema = dict(described.whole_answer()) if media == JSON else dict(TEXT)
            answers[(200, media)] = OpenApiResponse(response=schema, description="Success")
        for status, answer in ERRORS.items():
            error = dict(reference("Error"))
            answers[status] = OpenApiResponse(response=error, description=answer["description"])
        return answers

    def get_override_parameters(self) -> list[Any]:
        return list(self._parameters())

    def _parameters(self) -> Iterator[OpenApiParameter]:
        described = self._described
        for name in self._names_in_path():
            yield OpenApiParameter(name, int if name.endswith("_id") else str, OpenApiParameter.PATH, required=True)
        pages = (*_PAGES, *_filters(getattr(self.view, "columns", {}))) if described.pages else ()
        for each in (*described.parameters, *pages):
            yield OpenApiParameter(each.name, dict(each.schema), OpenApiParameter.QUERY, description=each.description)
        for each in described.asked_headers:
            yield OpenApiParameter(each.name, dict(each.schema), OpenApiParameter.HEADER, description=each.description)
        for name, words in {**(_HEADERS if described.pages else {}), **described.headers}.items():
            yield OpenApiParameter(name, str, OpenApiParameter.HEADER, description=words, response=[200])

    def _names_in_path(self) -> list[str]:
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    # What it would guess from serializers, models and paginators.

    def _is_list_view(self, serializer: Any = None) -> bool:
        return False

    def _get_filter_parameters(self) -> list[Any]:
        return []

    def _get_pagination_parameters(self) -> list[Any]:
        return []


def _filters(columns: dict[str, Column]) -> Iterator[Parameter]:
    if columns:
        fields = [*columns, *(f"-{name}" for name in columns)]
        yield Parameter(name="sort", description="Ties by id.", schema={"type": "string", "enum": fields})
    for name, column in columns.items():
        operators = ", ".join(f"`filter[{name}][{operator}]`" for operator in column.operators if operator)
        yield Parameter(name=f"filter[{name}]", description=f"Equals. Also {operators}.")
