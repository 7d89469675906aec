"""The profile of a service, written into the manifest where the service stands."""

from collections.abc import Mapping

from reconciler.core.errors import UsageError
from reconciler.core.manifest import Manifest
from reconciler.manifest.change import change_yaml
from reconciler.manifest.edit import known_service
from reconciler.manifest.read import load_manifest
from reconciler.manifest.splice import Yaml


def set_profile(path: str, name: str, fields: Mapping[str, object]) -> Manifest:
    """Give `fields` to the profile of a service, beside those that stand there already and keep their values.

    Raises UsageError if the manifest names a whole row (`profile: spec`), ManifestError if it would not be valid.
    """
    manifest = load_manifest(path)
    service = known_service(manifest, name)

    def change(yaml: Yaml) -> None:
        at = ("services", name)
        there = yaml.value["services"][name].get("profile")
        if isinstance(there, str):
            raise UsageError(
                f"{service.file}:{service.line}: `profile: {there}` names a whole row",
                hint="take it out first, so that what was found has a place",
            )
        wanted = {**fields, **(there or {})}
        if there is None:
            yaml.add_key(at, "profile", wanted)
        elif wanted != there:
            yaml.set((*at, "profile"), wanted)

    return change_yaml(path, service.file, change, manifest)
