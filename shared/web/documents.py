"""What a service says of its interfaces: OpenAPI, AsyncAPI, and a page that shows the first."""

from collections.abc import Callable
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.responses import HTMLResponse

from shared.web.roles import Role, open_to, with_alternatives

_ASSETS: Final = "/docs/static"
_PAGE: Final = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>integrationsbuero</title>
<link rel="stylesheet" href="{_ASSETS}/swagger-ui.css"></head>
<body><div id="ui"></div><script src="{_ASSETS}/swagger-ui-bundle.js"></script><script>
const token = prompt("A token, such as an operator's (wegweiser token operator):")
SwaggerUIBundle({{
  url: "/openapi.json", dom_id: "#ui",
  requestInterceptor: request => {{ request.headers.Authorization ||= "Bearer " + token; return request }}
}})
</script></body></html>"""


def add_documents(app: FastAPI, *readers: Role) -> None:
    """`/openapi.json` for these roles, and `/docs`, a page that holds nothing and asks for a token to read it with."""
    router = APIRouter(include_in_schema=False)

    @router.get("/openapi.json", dependencies=[open_to(*readers)])
    async def show_openapi() -> dict[str, Any]:
        return with_alternatives(app.openapi())

    @router.get("/docs", response_class=HTMLResponse)
    async def show_page() -> str:
        return _PAGE

    app.include_router(router)
    app.mount(_ASSETS, StaticFiles(packages=[("fastapi_offline", "static")]))


def add_asyncapi(app: FastAPI, asyncapi: Callable[[], dict[str, Any]]) -> None:
    """`/asyncapi.json` for operators."""

    @app.get("/asyncapi.json", dependencies=[open_to(Role.OPERATOR)], include_in_schema=False)
    async def show_asyncapi() -> dict[str, Any]:
        return asyncapi()
