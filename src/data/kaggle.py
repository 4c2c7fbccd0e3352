"""Download a dataset from Kaggle with the user's own key, when the user says so and never otherwise.

The key is that of `KAGGLE_USERNAME` and `KAGGLE_KEY`; no file of Kaggle's own tool is looked at. It is sent to Kaggle
alone, and neither stored nor shown.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote

from src.common.errors import UserError
from src.common.whole_files import whole_folder
from src.data.fetch import GB, basic, fetch, unpack

API = "https://www.kaggle.com/api/v1"
NAME = re.compile(r"[\w-]+/[\w-]+")


def download_kaggle(name: str, out: Path, max_gb: float) -> int:
    """Download and unpack `OWNER/NAME` into a new folder; returns the number of files.

    Raises:
        UserError: the name or a variable is missing, Kaggle refuses, or the archive is damaged or too large.
    """
    if not NAME.fullmatch(name):
        raise UserError("name must be that of a Kaggle dataset", value=name, remedy="name=OWNER/DATASET")
    keys = {
        "KAGGLE_USERNAME": os.environ.get("KAGGLE_USERNAME", "").strip(),
        "KAGGLE_KEY": os.environ.get("KAGGLE_KEY", "").strip(),
    }
    if missing := [key for key, value in keys.items() if not value]:
        remedy = f"export {missing[0]}=… (kaggle.com, Settings, API, Create New Token)"
        raise UserError(f"the environment variable {missing[0]} is not set", remedy=remedy)
    authorization = basic(*keys.values())
    with whole_folder(out) as aside:
        aside.mkdir()
        archive = aside / ".archive.zip"
        url = f"{API}/datasets/download/{quote(name)}"
        fetch(url, archive, authorization=authorization, most=max_gb * GB)
        count = unpack(archive, aside, max_gb * GB)
        archive.unlink()
    return count
