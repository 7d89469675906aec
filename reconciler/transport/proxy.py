"""Which proxy to go through, by the environment that was handed over and not that of the process."""

from collections.abc import Mapping
from typing import Final

UNUSABLE: Final = "the proxy that the environment names cannot be used"


def proxy_for(scheme: str, host: str, environ: Mapping[str, str]) -> str | None:
    """The proxy for `host` by HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY. Never one for this machine."""
    if host == "localhost" or host.endswith(".localhost") or host.startswith("127.") or host == "::1":
        return None
    named = {name.lower(): value for name, value in environ.items() if value}
    proxy = named.get(f"{scheme}_proxy") or named.get("all_proxy")
    direct = [name.strip().lstrip(".") for name in named.get("no_proxy", "").split(",") if name.strip()]
    if not proxy or any(name in ("*", host) or host.endswith(f".{name}") for name in direct):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
