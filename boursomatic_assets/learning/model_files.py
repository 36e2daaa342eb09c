"""Model files: the folder that keeps the bytes of models, each under the name of its SHA-256.

What belongs here: saving, and loading what is intact. A write is atomic: a crash leaves the old file or the new
one. A name that is a hash makes a file immutable, and lets `load` reject what `save` did not write: LightGBM
aborts the whole process on most damaged model texts.
Kept elsewhere: what a model's text holds (`model.py`), the file of a version (`model_versions.model_path`).
"""

import hashlib
import re
from pathlib import Path

from boursomatic_assets.learning.model import Model
from boursomatic_assets.stores import atomic_files, folders

SUFFIX = ".json"


class ModelFileError(OSError):
    """A model file is missing, damaged, or not one of the store's."""


class ModelStore:
    """A folder of model texts, each named after the SHA-256 of its content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, model_text: str) -> str:
        """Save a model and return its path relative to the store; saving it again changes nothing.

        A file that is already there and intact is left alone; a damaged one is replaced.
        """
        content = model_text.encode()
        name = _sha256(content) + SUFFIX
        path = folders.inside(self.folder, name)
        if not path.exists() or _sha256(path.read_bytes()) + SUFFIX != name:
            self.folder.mkdir(parents=True, exist_ok=True)
            atomic_files.write(path, content)
        return name

    def load(self, path: str | None) -> Model:
        """Return the model that `save` wrote to this path.

        Raises:
            ModelFileError: As `read`.
            ValueError: The model is one of an earlier version of Boursomatic.
        """
        return Model.from_json(self.read(path))

    def read(self, path: str | None) -> str:
        """Return the text that `save` wrote to this path, whatever kind of model it is.

        Raises:
            ModelFileError: The path is none that `save` returns, its file is missing, its content was changed,
            or it is a link that leaves the store.
        """
        if path is None or not re.fullmatch(r"[0-9a-f]{64}\.json", path):
            raise ModelFileError(
                f"model file {path!r} is not named after a SHA-256: give the model_path of a model version"
            )
        try:
            content = folders.inside(self.folder, path).read_bytes()
        except FileNotFoundError:
            raise ModelFileError(
                f"model file {path} is missing from {self.folder}: restore it from a backup, or train its"
                " version again, which gives the same file"
            ) from None
        except folders.OutsideError as error:
            raise ModelFileError(f"model file {error}") from None
        if _sha256(content) + SUFFIX != path:
            raise ModelFileError(
                f"model file {path} in {self.folder} is damaged, its SHA-256 is {_sha256(content)}: restore"
                " it from a backup, or train its version again, which repairs it"
            )
        return content.decode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
