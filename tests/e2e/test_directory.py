"""`kind: directory` against a real Kubo: equal CIDs, and imports that are cut short."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import _answers, _until, free_port  # type: ignore[import-not-found]

from reconciler.core.question import Folder, FolderOf
from reconciler.engine import folders
from reconciler.sandbox import SPEC, Sandbox

pytestmark = pytest.mark.kubo
