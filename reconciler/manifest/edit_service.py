"""Changes to `services:` of a manifest that a command makes, in the file where the service stands."""

from reconciler.core.errors import UsageError
from reconciler.core.manifest import Manifest, Service
from reconciler.manifest.change import change_yaml
from reconciler.manifest.edit import known_service, services_of
from reconciler.manifest.loader import load
from reconciler.manifest.problems import Raw, shown
from reconciler.manifest.read import load_manifest
from reconciler.manifest.splice import Yaml


def add_service(path: str, name: str, raw: Raw, *, check_only: bool = False) -> Manifest:
    """Declare a service. Raises UsageError if there is one of that name, ManifestError if it is wrong.

    With `check_only` nothing is written.
    """
    manifest = load_manifest(path)
    if name in manifest.services:
        s = manifest.services[name]
        raise UsageError(
            f"the manifest has a service {name} already ({s.file}:{s.line})", hint="choose another name"
        )
    return change_yaml(
        path, path, lambda yaml: yaml.add_key(("services",), name, dict(raw)), manifest, check_only=check_only
    )


def remove_service(path: str, name: str) -> Manifest:
    """No longer declare a service that nothing is wanted on. Raises UsageError naming what uses it."""
    manifest = load_manifest(path)
    service = known_service(manifest, name)
    using = [e for e in manifest.entries if name in services_of(e)]
    if using:
        named = ", ".join(shown(e.name or str(e.cid)) for e in using[:5])
        more = f" and {len(using) - 5:,} more" if len(using) > 5 else ""
        raise UsageError(
            f"{len(using):,} of the manifest's pins are wanted on {name}: {named}{more}",
            hint="take it out of their `services:` and of `defaults` first; "
            "`state: retiring` moves what only it holds to the others",
        )

    policies = [p.name for p in manifest.policies.values() if name in p.uses]
    if policies:
        raise UsageError(
            f"{name} holds the pins of {', '.join(policies)}",
            hint=f"take `policies:` out of {name} first, and apply: what is left behind there is nobody's",
        )

    def change(yaml: Yaml) -> None:
        defaults = (yaml.value.get("defaults") or {}).get("services")
        names = defaults.get("of", []) if isinstance(defaults, dict) else defaults or []
        if name in names:
            raise UsageError(f"`defaults: services:` names {name}", hint="take it out there first")
        yaml.remove(("services", name))

    return change_yaml(path, service.file, change, manifest)


def set_key(path: str, name: str, raw: Raw) -> Manifest:
    """Let a service find its key elsewhere. `raw` is as in a manifest: {env: NAME}, …"""
    manifest = load_manifest(path)
    service = known_service(manifest, name)
    return change_yaml(
        path, service.file, lambda yaml: yaml.set(("services", name, "key"), dict(raw)), manifest
    )


def written(service: Service) -> Raw:
    """A service as it is written in its file. Raises UsageError if that has changed meanwhile."""
    with open(service.file, encoding="utf-8-sig") as file:
        services = load(file.read()).value.get("services") or {}
    if service.name not in services:
        raise UsageError(f"{service.file} was changed meanwhile", hint="run it again")
    return dict(services[service.name])
