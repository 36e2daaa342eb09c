"""Model files: the texts of models in the store, each under the name of its SHA-256.

What belongs here: saving, and loading what is intact. `load` rejects what `save` did not write: LightGBM aborts
the whole process on most damaged model texts.
Kept elsewhere: what a model's text holds (`learning/model.py`), the file of a version
(`model_versions.model_path`), the store (`stores/`).
"""

import re

from boursomatic_assets.learning.model import Model
from boursomatic_assets.stores.folders import OutsideError
from boursomatic_assets.stores.store import DamagedError, MissingError, Store, StoreError, sha256

SUFFIX = ".json"


class ModelFileError(StoreError):
    """A model file is missing, damaged, or not one of the store's."""


class ModelStore:
    """The model texts of a store, each named after the SHA-256 of its content."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def save(self, model_text: str) -> str:
        """Save a model and return its name in the store; saving it again changes nothing.

        A file that is already there and intact is left alone; a damaged one is replaced.
        """
        content = model_text.encode()
        name = sha256(content) + SUFFIX
        self.store.write_once(name, content)
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
                or it is a link.
            StoreError: The store is away, or refuses.
        """
        if path is None or not re.fullmatch(r"[0-9a-f]{64}\.json", path):
            raise ModelFileError(
                f"model file {path!r} is not named after a SHA-256: give the model_path of a model version"
            )
        try:
            return self.store.read(path).decode()
        except MissingError:
            raise ModelFileError(
                f"model file {path} is missing from {self.store.address}: restore it from a backup, or train its"
                " version again, which gives the same file"
            ) from None
        except DamagedError:
            raise ModelFileError(
                f"model file {path} in {self.store.address} is damaged, its SHA-256 is another: restore it from a"
                " backup, or train its version again, which repairs it"
            ) from None
        except OutsideError as error:
            raise ModelFileError(f"model file {error}") from None
