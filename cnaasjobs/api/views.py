"""The base of the API's viewsets."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from cnaasjobs.api.body import measure_chunked, refuse_encoded
from cnaasjobs.api.description import Described
from cnaasjobs.api.filters import ColumnFilter, ColumnSort

# Without OPTIONS: a browser's preflight is answered before any view; any other is a 405, whose Allow must not list it.
METHODS = ["get", "head", "post", "put", "patch", "delete"]


class Released(APIView):
    """A view whose answer is freed as soon as it is sent.

    In DRF a view and its response refer to each other. Only the garbage collector frees such a cycle, and it runs late:
    a web process held up to fifteen pages of 20 MB that had long been sent.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        answer = super().dispatch(request, *args, **kwargs)
        if isinstance(answer, Response):
            answer.add_post_render_callback(self._untie)
        else:
            self._untie(answer)
        return answer

    def _untie(self, answer: Any) -> None:
        answer.renderer_context = {}
        del self.response


class ApiViewSet(Released, GenericViewSet[Any]):
    """A viewset that names the permission of each method and describes each handler; without these it is refused."""

    http_method_names = METHODS
    # None: any known user. Of several, any one admits; the handler checks which one the request needs.
    permissions_required: ClassVar[Mapping[str, str | tuple[str, ...] | None]] = {}
    described: ClassVar[Mapping[str, Described]] = {}
    filter_backends = (ColumnFilter, ColumnSort)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authentication and permission come first; only then is the body read."""
        super().initial(request, *args, **kwargs)
        refuse_encoded(request)
        measure_chunked(request)

    @classmethod
    def as_view(cls, actions: Any = None, **initkwargs: Any) -> Any:
        unguarded = [method for method in actions or {} if method.upper() not in cls.permissions_required]
        if unguarded:
            raise TypeError(f"{cls.__name__} names no permission for {', '.join(unguarded)}")
        undescribed = [handler for handler in (actions or {}).values() if handler not in cls.described]
        if undescribed:
            raise TypeError(f"{cls.__name__} does not describe {', '.join(undescribed)}")
        return super().as_view(dict(actions or {}), **initkwargs)


class NoMethods(Released):
    """A URL that clients know but that has no method: it answers 405, where an unknown URL is a 404."""

    http_method_names = METHODS
    permissions_required: ClassVar[Mapping[str, str]] = {}
