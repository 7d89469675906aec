"""The manifest: read with places, checked against the schema and beyond it, all problems at once."""

from reconciler.manifest.read import load_manifest
from reconciler.manifest.schema import schema_file, schema_text

__all__ = ["load_manifest", "schema_file", "schema_text"]
